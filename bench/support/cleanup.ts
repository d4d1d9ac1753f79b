/** What a benchmark has made or started is taken away at its end, however it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Router } from '../../src/router/port.ts';
import { startPlatform, type Platform } from '../../test/support/platform.ts';
import type { PlatformOptions } from '../../test/support/platform/platform.ts';

type Undo = () => Promise<unknown> | undefined;

const open = new Set<{ undo: Undo }>();

/** Runs `body`, then `undo`, also when the whole run is interrupted. */
async function guarded<T>(undo: Undo, body: () => Promise<T>): Promise<T> {
  const entry = { undo };
  open.add(entry);
  try {
    return await body();
  } finally {
    // Whoever interrupted has taken it over.
    if (open.delete(entry)) await undo();
  }
}

/** Undoes everything that is open, the latest first. */
export async function undoAll(): Promise<void> {
  for (const entry of [...open].reverse()) {
    open.delete(entry);
    await entry.undo();
  }
}

/** A platform of its own, on free ports. */
export async function withPlatform<T>(options: PlatformOptions, body: (paas: Platform) => Promise<T>): Promise<T> {
  const paas = await startPlatform({ ...options, up: false });
  return guarded(
    () => paas.remove(),
    async () => {
      if (options.up !== false) await paas.up();
      return body(paas);
    },
  );
}

/** A directory of its own below `parent`. */
export function withDirectory<T>(body: (directory: string) => Promise<T>, parent = tmpdir()): Promise<T> {
  const directory = mkdtempSync(join(parent, 'paas-bench-'));
  return guarded(
    () => {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
      return undefined;
    },
    () => body(directory),
  );
}

/** A process that ends with the body. */
export function withProcess<T>(
  child: { kill: (signal: 'SIGKILL') => boolean; exited: Promise<unknown> },
  body: () => Promise<T>,
): Promise<T> {
  return guarded(() => {
    child.kill('SIGKILL');
    return child.exited;
  }, body);
}

/** A router that stops with the body. */
export function withRouter<T>(router: Router, body: () => Promise<T>): Promise<T> {
  return guarded(() => router.stop(), body);
}
