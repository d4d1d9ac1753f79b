/** Where system tools are. Absolute paths, looked up in the system's own directories only: an app's PATH has no say. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { bareEnvironment } from './environment.ts';

const known = new Map<string, string | null>();

/** Absolute path of a tool such as `setpriv`, or null when this system lacks it. */
export function findTool(name: string): string | null {
  const before = known.get(name);
  if (before !== undefined) return before;
  const found = bareEnvironment
    .PATH!.split(':')
    .map((directory) => path.join(directory, name))
    .find(isExecutable);
  known.set(name, found ?? null);
  return found ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
