/** Where programs are looked for, on behalf of apps and builds. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const usual = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * The PATH for apps and builds: the agent's own, without what only its own user may enter (as root, apps run as other
 * users, and a shim in /root would be found but not run), plus the usual directories.
 */
export function appPath(own: string | undefined, asRoot: boolean): string {
  const given = (own ?? '').split(delimiter).filter((dir) => dir.startsWith('/'));
  const usable = [...given, ...usual].filter((dir) => !asRoot || enteredByAll(dir));
  return [...new Set(usable)].join(delimiter);
}

/** Whether any user may search the directory and all above it. A directory that is not there is no harm. */
function enteredByAll(dir: string): boolean {
  let at: string;
  try {
    at = realpathSync(dir);
  } catch {
    return true;
  }
  for (;;) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    const above = dirname(at);
    if (above === at) return true;
    at = above;
  }
}

/** The first executable file called `name` on a PATH. */
export function findProgram(name: string, path: string): string | undefined {
  for (const dir of path.split(delimiter)) {
    const candidate = join(dir, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}
