/**
 * Driver `sandbox`: bubblewrap. Read-only base, /proc and PID namespace, /tmp, /dev and host name of its own, /app
 * writable, nothing else. The change to the app's user comes before bubblewrap, which started as root would keep
 * nearly all capabilities. The network is the host's.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { commandLine, type ProcessEntry } from '../../shared/processes.ts';
import { tryCommand } from './command.ts';
import { hostMounts, rootfsMounts } from './mounts.ts';
import type { Base, Check, Owner, Runtime, RuntimeCommand, RuntimeSpec } from './port.ts';
import { enterScript, launchScript } from './scripts.ts';
import { findTool } from './tools.ts';
import { asOwner } from './users.ts';

const home = { HOME: '/app', TMPDIR: '/tmp' };

const isolation = ['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'];

/** Mounts that do not depend on the app. */
function system(base: Base, hidden: readonly string[] = []): string[] {
  const root = base.kind === 'host' ? hostMounts(hidden) : rootfsMounts(base.path);
  return [...root, '--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--tmpfs', '/tmp'];
}

function bwrap(owner: Owner, args: readonly string[]): string[] {
  return [...asOwner(owner), findTool('bwrap') ?? 'bwrap', ...isolation, '--die-with-parent', ...args];
}

/** Programs ask the system who they are (`os.userInfo()`, git, ssh): the app's user gets a name inside. */
function accountMounts(spec: RuntimeSpec): string[] {
  const uid = spec.owner?.uid ?? process.getuid?.() ?? 0;
  const gid = spec.owner?.gid ?? process.getgid?.() ?? 0;
  const lines = { passwd: `app:x:${uid}:${gid}:app:/app:/bin/sh`, group: `app:x:${gid}:` };
  const root = spec.base.kind === 'host' ? '/' : spec.base.path;
  return Object.entries(lines).flatMap(([name, line]) => {
    const original = path.join(root, 'etc', name);
    if (!existsSync(original)) return [];
    const file = path.join(spec.directory, name);
    writeFileSync(file, `${line}\n${readFileSync(original, 'latin1')}`, { mode: 0o644, encoding: 'latin1' });
    return ['--ro-bind', file, `/etc/${name}`];
  });
}

function inside(spec: RuntimeSpec, script: string, args: readonly string[]): RuntimeCommand {
  const argv = bwrap(spec.owner, [
    ...system(spec.base, spec.hidden),
    ...accountMounts(spec),
    ...Object.entries(spec.binds ?? {}).flatMap(([place, directory]) => ['--bind', directory, place]),
    ...Object.entries(spec.cgroups).flatMap(([mount, directory]) => ['--ro-bind', directory, mount]),
    ...['--hostname', spec.hostname, '--bind', path.join(spec.directory, 'app'), '/app', '--chdir', '/app'],
    ...['--', '/bin/sh', '-c', script, 'paas', ...args],
  ]);
  return { argv, env: { ...spec.env, ...home } };
}

const childOf = (members: readonly ProcessEntry[], parent: number | undefined): ProcessEntry | undefined =>
  members.find(({ ppid }) => ppid === parent);
/** bwrap's first process inside (PID 1 of the namespace): the child of the one outside. */
const initOf = (members: readonly ProcessEntry[], app: number): number | undefined => childOf(members, app)?.pid;
/** The shell that launches the command, see scripts.ts: bwrap + init + launch + command. */
const launchOf = (members: readonly ProcessEntry[], app: number): number | undefined =>
  childOf(members, initOf(members, app))?.pid;

/** A fork of the launching shell has that one's handler of SIGTERM until it begins its program, and would forget one. */
const isFork = ({ pid, ppid }: ProcessEntry, launch: number | undefined): boolean =>
  launch !== undefined && ppid === launch && commandLine(pid) === commandLine(launch);

export const sandboxRuntime: Runtime = {
  kind: 'sandbox',
  home: () => home,
  placeOf: ({ inside: place }) => place,

  async check(owner): Promise<Check> {
    if (process.platform !== 'linux') return { ok: false, reason: 'bubblewrap needs Linux' };
    if (findTool('bwrap') === null) return { ok: false, reason: 'bubblewrap (bwrap) is not installed' };
    return tryCommand(bwrap(owner, [...system({ kind: 'host' }), '--', '/bin/sh', '-c', ':']));
  },

  start: (spec, command) => inside(spec, launchScript, ['wait', command]),
  run: (spec, argv) => inside(spec, enterScript, argv),

  exec(spec, argv, members, app) {
    const init = initOf(members, app);
    const nsenter = findTool('nsenter');
    // bubblewrap nests user namespaces: only root may enter the outer one's. Others get the same view made anew.
    if (spec.owner === null || nsenter === null || init === undefined) return inside(spec, enterScript, argv);
    const user = ['--user', '--setuid', String(spec.owner.uid), '--setgid', String(spec.owner.gid)];
    const enter = [nsenter, '--target', String(init), ...user, '--mount', '--pid', '--uts', '--ipc'];
    const noRise = [findTool('setpriv') ?? 'setpriv', '--clear-groups', '--no-new-privs', '--'];
    const shell = ['/bin/sh', '-c', enterScript, 'paas', ...argv];
    return { argv: [...noRise, ...enter, '--', ...shell], env: { ...spec.env, ...home } };
  },

  appProcesses(members, app) {
    const [init, launch] = [initOf(members, app), launchOf(members, app)];
    return members.filter((entry) => entry.pid !== app && entry.pid !== init && !isFork(entry, launch));
  },

  firstProcess(members, app) {
    const launch = launchOf(members, app);
    return members.find((entry) => launch !== undefined && entry.ppid === launch && !isFork(entry, launch));
  },
};
