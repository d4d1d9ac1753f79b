/**
 * Control groups that agents have made for their instances (`…/paas/<host>/<instance>`). A powered-off host has no
 * agent that could remove them, so the cloud does, once their processes are gone.
 */
import { readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const cgroupRoot = '/sys/fs/cgroup';

/** Directories of the instances' groups that a process is in. */
export function instanceGroups(pid: number, root = cgroupRoot): string[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return []; // it has ended
  }
  return groupDirectories(text, root);
}

/** From /proc/PID/cgroup (cgroups(7)): lines `id:controllers:path`, where v2 has no controllers. */
export function groupDirectories(text: string, root = cgroupRoot): string[] {
  return text.split('\n').flatMap((line) => {
    const [, controllers, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || !/^\/paas\/[^/]+\/[^/]+$/.test(path)) return [];
    // A hierarchy of several controllers is mounted under their joint name, with links for each.
    const mounts = controllers === '' ? ['', 'unified'] : [controllers];
    return mounts.map((mount) => join(root, mount, path));
  });
}

/** Removes groups without processes, and their host's directory when it is empty then. Others are left alone. */
export function removeGroups(directories: Iterable<string>): void {
  const groups = new Set(directories);
  const hosts = new Set([...groups].map((group) => dirname(group)));
  for (const directory of [...groups, ...hosts]) {
    try {
      rmdirSync(directory);
    } catch {
      // Not there, not empty or not ours: nothing is lost by leaving it.
    }
  }
}
