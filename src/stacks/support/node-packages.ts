/** How each package manager of Node installs, prunes, and where it keeps what it downloaded. */
import { directoryNames, fileNames, firstOf, readText } from './source.ts';
import type { SourceView } from '../port.ts';

export interface Installer {
  /** The tool that must be on the host. */
  tool: 'npm' | 'pnpm' | 'yarn';
  /** The lock file it goes by, if there is one. */
  lock: string | undefined;
  /** With development dependencies, as builds want them. */
  installAll: string;
  /** Only what runs in production. */
  installProduction: string;
  /** Removes development dependencies after the build. */
  prune: string;
  /** Environment of its commands. */
  env: Record<string, string>;
  /** Variable that points to its shared download cache. */
  cacheVariable: string;
}

const npm = (lock: string | undefined): Installer => {
  const verb = lock === undefined ? 'install --no-package-lock' : 'ci';
  return {
    tool: 'npm',
    lock,
    installAll: `npm ${verb} --include=dev`,
    installProduction: `npm ${verb} --omit=dev`,
    prune: `npm prune --omit=dev${lock === undefined ? ' --no-package-lock' : ''}`,
    env: { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' },
    cacheVariable: 'npm_config_cache',
  };
};

// Copies, not hard links, out of the store: an app that writes to a linked file would change it for all.
const pnpmInstall =
  'pnpm install --frozen-lockfile --package-import-method=copy ${PNPM_STORE:+--store-dir "$PNPM_STORE"}';
const pnpm = (lock: string): Installer => ({
  tool: 'pnpm',
  lock,
  installAll: `${pnpmInstall} --prod=false`,
  installProduction: `${pnpmInstall} --prod`,
  prune: 'pnpm prune --prod',
  env: { CI: 'true' },
  cacheVariable: 'PNPM_STORE',
});

const yarnInstall = 'yarn install --frozen-lockfile --non-interactive';
const yarnClassic = (lock: string): Installer => ({
  tool: 'yarn',
  lock,
  installAll: `${yarnInstall} --production=false`,
  installProduction: `${yarnInstall} --production`,
  prune: `${yarnInstall} --production --ignore-scripts --prefer-offline`,
  env: {},
  cacheVariable: 'YARN_CACHE_FOLDER',
});

// The node-modules linker, so that plain `node` finds the packages; Plug'n'Play needs every command to go through yarn.
const yarnBerry = (lock: string): Installer => ({
  tool: 'yarn',
  lock,
  installAll: 'yarn install --immutable',
  installProduction: 'yarn workspaces focus --production --all',
  prune: 'yarn workspaces focus --production --all',
  env: { YARN_NODE_LINKER: 'node-modules', YARN_ENABLE_TELEMETRY: '0', YARN_ENABLE_GLOBAL_CACHE: 'true' },
  cacheVariable: 'YARN_GLOBAL_FOLDER',
});

/** The package manager by lock file; npm without one. Two lock files: npm's own last, as the others are chosen on purpose. */
export async function chooseInstaller(view: SourceView): Promise<Installer> {
  const names = await fileNames(view);
  const lock = firstOf(names, ['pnpm-lock.yaml', 'yarn.lock', 'npm-shrinkwrap.json', 'package-lock.json']);
  if (lock === 'pnpm-lock.yaml') return pnpm(lock);
  if (lock === 'yarn.lock') {
    const berry = ((await readText(view, lock)) ?? '').includes('__metadata:');
    return berry ? yarnBerry(lock) : yarnClassic(lock);
  }
  return npm(lock);
}

/** What a digest is needed of for the key of node_modules, besides package.json. */
export async function installInputs(view: SourceView, installer: Installer): Promise<Record<string, string | null>> {
  const paths = ['.npmrc', '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs', 'pnpm-workspace.yaml'];
  if (installer.lock !== undefined) paths.push(installer.lock);
  const digests = await Promise.all(paths.map(async (path) => [path, await view.digestOf(path)] as const));
  return Object.fromEntries(digests);
}

/** Whether node_modules came with the source, as Cloud Foundry apps may bring it. */
export async function hasVendoredModules(view: SourceView): Promise<boolean> {
  return (await directoryNames(view)).includes('node_modules');
}
