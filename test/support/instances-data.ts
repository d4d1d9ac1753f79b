/** Specs and trees of instances in tests. */
import { createHash } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { InstanceSpec } from '../../src/shared/contracts/instances.ts';

export const address = '127.0.0.1';

/** Trees out of memory: digest → files. */
export class MemoryTrees {
  readonly #trees = new Map<string, Record<string, string>>();
  materialised = 0;

  add(files: Record<string, string>): string {
    const digest = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    this.#trees.set(digest, files);
    return digest;
  }

  ensure(_digest: string): Promise<void> {
    return Promise.resolve();
  }

  materialise(digest: string, dest: string, owner?: { uid: number; gid: number }): Promise<void> {
    this.materialised++;
    mkdirSync(dest);
    for (const [name, text] of Object.entries(this.#trees.get(digest) ?? {})) {
      writeFileSync(path.join(dest, name), text, { mode: 0o755 });
      if (owner) chownSync(path.join(dest, name), owner.uid, owner.gid);
    }
    return Promise.resolve();
  }
}

let count = 0;

/** A spec with what the test is about; `worker`, restarted, stopped within 10 s, unless it says otherwise. */
export function specOf(change: Partial<InstanceSpec> & { tree?: string } = {}): InstanceSpec {
  const { tree = '0'.repeat(64), ...rest } = change;
  return {
    id: `ins_${process.pid}_${++count}`,
    name: 'web.1',
    app: { id: 'app_test', name: 'shop', project: 'default', environment: 'dev' },
    release: 1,
    processType: 'web',
    kind: 'worker',
    image: { tree, base: { name: 'host', digest: '0'.repeat(64) } },
    command: 'exec sleep 600',
    env: {},
    memoryMb: 256,
    health: { type: 'process', timeoutMs: 10_000, intervalMs: 200 },
    graceMs: 10_000,
    restart: 'always',
    runtime: 'auto',
    restartToken: '',
    ...rest,
  };
}
