/**
 * Removing directories that apps and builds had for themselves. They may have closed them: `go build` leaves a module
 * cache of mode 0555. Root may remove those all the same; to another agent its own directories are opened first.
 */
import { chmodSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errnoOf } from '../shared/errors.ts';

const options = { recursive: true, force: true, maxRetries: 3 } as const;
const turnMs = 8;

/** Removes a directory with all that is in it, whatever its modes; without effect when there is none. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, options);
  } catch (error) {
    if (!isDenied(error)) throw error;
    const steps = openDirectories(path);
    for (let turn = performance.now(); steps.next().done !== true;) {
      if (performance.now() - turn < turnMs) continue;
      await setImmediate();
      turn = performance.now();
    }
    await rm(path, options);
  }
}

/** As `removeTree`, for where the next step must find it gone. */
export function removeTreeSync(path: string): void {
  try {
    rmSync(path, options);
  } catch (error) {
    if (!isDenied(error)) throw error;
    const steps = openDirectories(path);
    while (steps.next().done !== true);
    rmSync(path, options);
  }
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
}

/** Gives the owner all rights to a directory and those below; links are not followed. What cannot be is left: `rm` says so. */
function* openDirectories(path: string): Generator<void> {
  try {
    const stat = lstatSync(path);
    if (!stat.isDirectory()) return;
    if ((stat.mode & 0o700) !== 0o700) chmodSync(path, (stat.mode & 0o777) | 0o700);
    yield;
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) yield* openDirectories(join(path, entry.name));
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
