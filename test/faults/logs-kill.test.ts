import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openSegmentLogStore } from '../../src/control/logs/segments.ts';
import { bundle } from '../support/bundle.ts';

const root = mkdtempSync(join(tmpdir(), 'paas-logs-kill-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('kill -9 of a server that stores logs', () => {
  it('loses nothing that was acknowledged and doubles nothing, time after time', async () => {
    const program = await bundle('test/faults/programs/log-writer.ts', 'log-writer.js');
    const acknowledged = new Map<string, number>();
    for (let round = 1; round <= 5; round++) {
      const child = spawn(process.execPath, [program, root], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        // At a place that differs each time, wherever the server then is.
        if (output.length > round * 1500) child.kill('SIGKILL');
      });
      await once(child, 'close');
      for (const line of output.split('\n').slice(0, -1)) {
        const [instance, offset] = line.split(' ');
        acknowledged.set(instance!, Number(offset));
      }
      const store = await openSegmentLogStore({ root, notice: () => undefined });
      const next = new Map<string, number>();
      for await (const batch of store.query({ appId: 'app' })) {
        for (const entry of batch) {
          if ('gap' in entry) throw new Error(`a gap of ${entry.gap.count}`);
          const expected = next.get(entry.instance) ?? 0;
          expect(entry).toMatchObject({ line: String(expected).padStart(9, '0'), seq: expected + 1 });
          next.set(entry.instance, expected + 1);
        }
      }
      for (const [instance, offset] of acknowledged) {
        expect(next.get(instance)! * 10).toBeGreaterThanOrEqual(offset);
        expect(store.positions([instance])[0]!.offset).toBe(next.get(instance)! * 10);
      }
      await store.close();
    }
    expect([...acknowledged.keys()].sort()).toEqual(['ins_a', 'ins_b', 'ins_c']);
  });
});
