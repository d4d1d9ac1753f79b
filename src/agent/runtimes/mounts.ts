/** What a sandbox with base `host` sees of the host: system directories, read-only, chosen by a list of what is let in. */
import { lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';

/** Programs, libraries and their configuration. Everything else (/root, /home, /srv, /var, /mnt, …) does not exist inside. */
const systemDirectories = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc',
  '/opt',
  '/nix/store',
];

/** Files in /etc that often are links to places outside it. */
const linked = ['/etc/resolv.conf', '/etc/localtime', '/etc/ssl/certs', '/etc/ssl/certs/ca-certificates.crt'];

/** What belongs to an installation of node, when that is not among the system directories. */
const nodePrograms = new Set(['node', 'npm', 'npx', 'corepack', 'pnpm', 'pnpx', 'yarn', 'yarnpkg']);

/**
 * bwrap arguments that show the host's system directories.
 * @param hidden directories that must not be seen even where they lie in one of those
 */
export function hostMounts(hidden: readonly string[], nodeExecutable = process.execPath): string[] {
  const args: string[] = [];
  const shown: string[] = [];
  for (const directory of systemDirectories) {
    const kind = kindOf(directory);
    if (kind === 'link') args.push('--symlink', readlinkSync(directory), directory);
    if (kind === 'other') args.push('--ro-bind', directory, directory);
    if (kind !== null) shown.push(directory);
  }
  const isShown = (file: string): boolean => shown.some((directory) => file.startsWith(`${directory}/`));
  for (const directory of hidden.map((one) => realOf(one) ?? one)) {
    if (isShown(directory) && kindOf(directory) !== null) args.push('--tmpfs', directory);
  }
  for (const target of new Set(linked.map((file) => realOf(file) ?? file))) {
    if (!isShown(target) && kindOf(target) !== null) args.push('--ro-bind', target, target);
  }
  if (!isShown(nodeExecutable)) args.push(...nodeMounts(nodeExecutable));
  for (const directory of ['/var/tmp', '/run']) args.push('--perms', '1777', '--tmpfs', directory);
  return args;
}

/** A node below a home directory (nvm, fnm, ~/bin): its own files only, since the directory may be the home itself. */
function nodeMounts(executable: string): string[] {
  const bin = path.dirname(executable);
  const modules = path.join(path.dirname(bin), 'lib', 'node_modules');
  const args = kindOf(modules) === 'other' ? ['--ro-bind', modules, modules] : [];
  for (const name of readdirSync(bin).filter((one) => nodePrograms.has(one))) {
    const file = path.join(bin, name);
    args.push(...(kindOf(file) === 'link' ? ['--symlink', readlinkSync(file), file] : ['--ro-bind', file, file]));
  }
  return args;
}

/** Of an imported root file system these are made anew. */
const replaced = new Set(['proc', 'dev', 'tmp', 'sys', 'run', 'app']);

/**
 * bwrap arguments that show an imported root file system, read-only. Entry by entry, so that mount points it lacks
 * (/app) can be made in the root. Names are resolved as on the host, whose network it shares.
 */
export function rootfsMounts(rootfs: string): string[] {
  const args = readdirSync(rootfs).flatMap((name) => {
    const source = path.join(rootfs, name);
    if (replaced.has(name)) return [];
    return kindOf(source) === 'link'
      ? ['--symlink', readlinkSync(source), `/${name}`]
      : ['--ro-bind', source, `/${name}`];
  });
  const writable = ['var/tmp', 'run'].filter((name) => kindOf(path.join(rootfs, name)) === 'other');
  for (const name of writable) args.push('--tmpfs', `/${name}`);
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) {
    const source = realOf(file);
    if (source !== null && kindOf(path.join(rootfs, file)) === 'other') args.push('--ro-bind', source, file);
  }
  return args;
}

function kindOf(file: string): 'link' | 'other' | null {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  return stat.isSymbolicLink() ? 'link' : 'other';
}

function realOf(file: string): string | null {
  try {
    return realpathSync(file);
  } catch {
    return null; // a dangling link: nothing to show
  }
}
