declare const PAAS_VERSION: string | undefined;

/** Version of the running program: put in by the build (scripts/build.js); `0.0.0-source` when run from source. */
export const version = typeof PAAS_VERSION === 'undefined' ? '0.0.0-source' : PAAS_VERSION;
