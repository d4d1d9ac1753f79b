import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ObjectIndex } from '../../../../src/control/blobs/object-index.ts';

const digest = (n: number): Buffer => createHash('sha256').update(String(n)).digest();

describe('ObjectIndex', () => {
  it('holds what a map would, through growth, drops, returns and compaction', () => {
    const index = new ObjectIndex();
    const model = new Map<number, [number, number]>();
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (let step = 0; step < 20_000; step++) {
      const n = random(4000);
      if (random(3) > 0) {
        index.set(digest(n), step, step * 2, step * 3, n % 2 === 0);
        model.set(n, [step, n]);
      } else if (model.delete(n)) {
        index.drop(index.find(digest(n).toString('hex')));
      }
      if (step % 5000 === 4999) {
        for (const key of [...model.keys()].filter((key) => key % 4 > 0)) {
          model.delete(key);
          index.drop(index.find(digest(key).toString('hex')));
        }
        index.compact();
      }
    }
    expect(index.objects).toBe(model.size);
    for (let n = 0; n < 4000; n++) {
      const hex = digest(n).toString('hex');
      const entry = index.find(hex);
      const [step] = model.get(n) ?? [];
      if (step === undefined) expect(entry).toBe(-1);
      else
        expect(index.place(entry)).toEqual({
          digest: hex,
          pack: step,
          offset: step * 2,
          size: step * 3,
          tree: n % 2 === 0,
        });
    }
    expect(index.find('nonsense')).toBe(-1);
  });
});
