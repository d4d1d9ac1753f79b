import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { bundle } from '../../support/bundle.ts';
import type { Stores } from '../store.suite.ts';

export function durability(stores: Stores): void {
  describe('kill -9', () => {
    it('loses no acknowledged write and leaves no half transaction, time after time', async () => {
      const program = await bundle('test/conformance/store/writer.ts', 'store-writer.js', 'external');
      const url = await stores.fresh();
      await (await stores.open(url)).close();
      let acknowledged = 0;
      for (let round = 1; round <= 4; round++) {
        const child = spawn(process.execPath, [program, url], { stdio: ['ignore', 'pipe', 'inherit'] });
        let output = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          // At a place that differs each time, wherever the writer then is.
          if (output.length > round * 70) child.kill('SIGKILL');
        });
        await once(child, 'close');
        acknowledged = Math.max(acknowledged, ...output.split('\n').slice(0, -1).map(Number));
        const store = await stores.open(url);
        const rows = await store.db.selectFrom('meta').selectAll().execute();
        const values = new Map(rows.map(({ key, value }) => [key, value]));
        for (let i = 1; i <= acknowledged; i++) expect(values.get(`a${i}`), `row ${i}`).toBe(String(i));
        // Both rows of a transaction or neither.
        for (const [key, value] of values) expect(values.get(`${key.startsWith('a') ? 'b' : 'a'}${value}`)).toBe(value);
        await store.close();
      }
      expect(acknowledged).toBeGreaterThan(20);
    });
  });
}
