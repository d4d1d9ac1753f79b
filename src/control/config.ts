/** The control plane's configuration file (JSON, 0600: it holds the first key and the cloud's). */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { PaasError } from '../shared/errors.ts';
import { describeIssues } from '../shared/issues.ts';
import { defaultAcme, defaultCluster, defaultTiming, type Settings } from './settings.ts';

const ms = z.int().check(z.positive());

export const serverConfig = z.strictObject({
  dataDir: z.string(),
  databaseUrl: z.optional(z.nullable(z.string())),
  listen: z.object({ host: z.string(), port: z.int().check(z.minimum(0), z.maximum(65535)) }),
  /** Files of a certificate (`ca`: of its authority, for agents, when that is not a public one); needed to listen beyond loopback. */
  tls: z.optional(z.object({ cert: z.string(), key: z.string(), ca: z.optional(z.string()) })),
  publicUrl: z.optional(z.nullable(z.string())),
  domain: z.optional(z.string()),
  router: z.object({
    driver: z.string(),
    address: z.string(),
    port: z.int(),
    tlsPort: z.optional(z.int().check(z.minimum(0), z.maximum(65_535))),
    /** A MaxMind database (GeoLite2-City or -Country) on the router hosts, for gray rules by region. */
    regions: z.optional(z.string().check(z.startsWith('/'))),
  }),
  /** The certificate authority of `paas certs add --acme`; default: Let's Encrypt. `ca`: file of its CA, where that is a private one. */
  acme: z.optional(
    z.partial(
      z.strictObject({
        directory: z.url(),
        email: z.string(),
        termsOfServiceAgreed: z.boolean(),
        ca: z.string().check(z.startsWith('/')),
      }),
    ),
  ),
  cluster: z.optional(
    z.partial(
      z.object({
        maxHosts: z.int().check(z.positive()),
        hostCpu: z.number().check(z.positive()),
        hostMemoryMb: z.int().check(z.minimum(64)),
        graceMs: z.int().check(z.nonnegative()),
        runtime: z.enum(['auto', 'process', 'sandbox']),
        tcpPorts: z.object({ from: z.int(), to: z.int() }),
      }),
    ),
  ),
  cloud: z.optional(
    z.nullable(z.object({ name: z.string(), driver: z.string(), config: z.record(z.string(), z.unknown()) })),
  ),
  adminKey: z.object({ id: z.string(), secret: z.string().check(z.minLength(32)) }),
  assets: z.optional(z.string()),
  timing: z.optional(z.partial(z.object(Object.fromEntries(Object.keys(defaultTiming).map((key) => [key, ms]))))),
});
export type ServerConfig = z.infer<typeof serverConfig>;

/** @throws PaasError manifest_invalid naming what is wrong, not_allowed when others may read the file */
export function readConfig(path: string): ServerConfig {
  const mode = statSync(path).mode & 0o077;
  if (mode !== 0) {
    throw new PaasError('not_allowed', `${path} holds secrets, but other users may read it.`, {
      hint: `chmod 600 ${path}`,
    });
  }
  const parsed = serverConfig.safeParse(parseJson(path));
  if (parsed.success) return parsed.data;
  throw new PaasError('manifest_invalid', `${path}: ${describeIssues(parsed.error.issues, 'the file')}`);
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    // Without the parser's own words: they quote the text, which holds secrets.
    if (error instanceof SyntaxError)
      throw new PaasError('manifest_invalid', `${path} is not JSON: it was damaged, or cut off.`);
    throw error;
  }
}

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

/** Settings from a configuration, with defaults. @throws PaasError usage for an open listener without TLS */
export function settingsOf(config: ServerConfig): Settings {
  if (!loopback.test(config.listen.host) && config.tls === undefined) {
    throw new PaasError(
      'usage',
      `Listening on ${config.listen.host} needs TLS: config, logs and sources pass over it.`,
      {
        hint: 'Give `tls: {cert, key}` in the configuration, or listen on 127.0.0.1.',
      },
    );
  }
  const acme = { ...defaultAcme, ...given(config.acme) };
  const { protocol, hostname } = new URL(acme.directory);
  if (protocol !== 'https:' && !(protocol === 'http:' && loopback.test(hostname))) {
    throw new PaasError('usage', `The certificate authority's directory ${acme.directory} is not reached by https.`, {
      hint: 'Correct `acme.directory` in the configuration.',
    });
  }
  return {
    dataDir: config.dataDir,
    databaseUrl: config.databaseUrl ?? null,
    listen: config.listen,
    publicUrl: config.publicUrl ?? null,
    domain: config.domain ?? 'localhost',
    router: config.router,
    tls: config.tls ?? null,
    acme,
    cluster: { ...defaultCluster, ...given(config.cluster) },
    cloud: config.cloud ?? null,
    assets: config.assets ?? dirname(fileURLToPath(import.meta.url)),
    timing: { ...defaultTiming, ...given(config.timing) },
  };
}

/** Without what is undefined, so that it does not hide a default. */
function given<T extends object>(values: T | undefined): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

export const databasePath = (settings: Settings): string => settings.databaseUrl ?? join(settings.dataDir, 'paas.db');
