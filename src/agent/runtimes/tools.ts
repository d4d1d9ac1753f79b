/** Where system tools are. Absolute paths, looked up in the system's own directories only: an app's PATH has no say. */
import { findProgram } from '../facts-path.ts';
import { bareEnvironment } from './environment.ts';

const known = new Map<string, string | null>();

/** Absolute path of a tool such as `setpriv`, or null when this system lacks it. */
export function findTool(name: string): string | null {
  const before = known.get(name);
  if (before !== undefined) return before;
  const found = findProgram(name, bareEnvironment.PATH) ?? null;
  known.set(name, found);
  return found;
}
