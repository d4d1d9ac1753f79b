/**
 * Where the platform of this machine keeps its things:
 *
 *   PAAS_HOME/platform/config.json   the control plane's configuration, with its first key (0600)
 *                      local.json    what only `up` and `down` need
 *                      server/       data of the control plane        cloud/  data of the embedded cloud
 *   PAAS_HOME/logs/server.log, cloud.log
 *   PAAS_HOME/hosts/                 the hosts' data; see `hostRoot`
 */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';
import { readJsonFile, writeDurably } from '../../shared/files.ts';

export interface PlatformFiles {
  home: string;
  root: string;
  config: string;
  local: string;
  /** Held by `up` and `down` while they work. */
  lock: string;
  server: string;
  cloud: string;
  serverLog: string;
  cloudLog: string;
}

export function platformFiles(home: string): PlatformFiles {
  const root = join(home, 'platform');
  return {
    home,
    root,
    config: join(root, 'config.json'),
    local: join(root, 'local.json'),
    lock: join(root, 'up.lock'),
    server: join(root, 'server'),
    cloud: join(root, 'cloud'),
    serverLog: join(home, 'logs', 'server.log'),
    cloudLog: join(home, 'logs', 'cloud.log'),
  };
}

/** Makes the directories. All but `hosts` are for their owner alone. */
export function makeDirectories(files: PlatformFiles): void {
  for (const path of [files.home, files.root, files.server, files.cloud, dirname(files.serverLog)]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
}

const localFile = z.object({ hostRoot: z.string() });

/**
 * Where hosts keep their data. As root, apps run as users of their own, who must be able to reach it: when PAAS_HOME is
 * closed to them (as /root/.paas is), that is a directory of /var/lib/paas. Chosen once.
 */
export function hostRoot(files: PlatformFiles): string {
  const known = readJsonFile(files.local, localFile);
  if (known) return known.hostRoot;
  const isRoot = process.getuid?.() === 0;
  const path = isRoot && !isOpen(files.home) ? join('/var/lib/paas', hashOf(files.home)) : join(files.home, 'hosts');
  mkdirSync(path, { recursive: true, mode: 0o711 });
  // mkdir's mode is subject to the umask.
  chmodSync(path, 0o711);
  if (path.startsWith('/var/lib/paas/')) chmodSync('/var/lib/paas', 0o711);
  writeDurably(files.local, JSON.stringify({ hostRoot: path }));
  return path;
}

/** The host root that was chosen before, if any. */
export function knownHostRoot(files: PlatformFiles): string | undefined {
  return readJsonFile(files.local, localFile)?.hostRoot;
}

/** Whether other users may pass through a directory and all above it. */
function isOpen(path: string): boolean {
  for (let at = realpathSync(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

const hashOf = (home: string): string => createHash('sha256').update(realpathSync(home)).digest('hex').slice(0, 12);

/** A program of this installation. @throws PaasError unsupported when it has not been built */
export function program(name: 'paas-server' | 'paas-cloud'): string {
  return inInstallation(`bin/${name}.js`);
}

/** A file of this installation, wherever the running code lies in it. @throws PaasError unsupported */
export function inInstallation(path: string): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, 'bin', 'paas.js'))) {
      const found = join(at, path);
      if (existsSync(found)) return found;
      throw new PaasError('unsupported', `${found} is missing: this installation is incomplete.`, {
        hint: 'In a clone, run `npm run build`; else install it again.',
      });
    }
    if (at === dirname(at)) throw new PaasError('internal', 'The installation of the CLI cannot be found.');
  }
}
