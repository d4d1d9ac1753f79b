import { expect, it, vi } from 'vitest';
import { matcherOf } from '../../../../src/control/logs/grep.ts';
import { followUntil, isLine } from '../../../support/log-store.ts';
import { open, temporaryDirectory, writeLines } from './store.ts';

const root = temporaryDirectory();

it('four people can follow with repetition in their expressions at a time; a fifth is told to wait', async () => {
  const { store } = await open(root());
  const offset = await writeLines(store, ['none', 'aaa']);
  const begun = new Set<number>();
  const follows = Array.from({ length: 4 }, (_, i) =>
    followUntil(store, { appId: 'app', grep: 'a+' }, (found) => {
      if (found.length > 0) begun.add(i);
      return found.length === 2;
    }),
  );
  await expect.poll(() => begun.size).toBe(4);
  await expect(followUntil(store, { appId: 'app', grep: 'a+' }, () => true)).rejects.toMatchObject({
    code: 'unavailable',
  });
  await writeLines(store, ['none either', 'later'], offset);
  for (const { entries } of await Promise.all(follows)) {
    expect(entries.filter(isLine).map(({ line }) => line)).toEqual(['aaa', 'later']);
  }
  await store.close();
});

it('a search counts as too long by what it computes, not by how long the machine stood still', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const matcher = matcherOf({ grep: 'a+' })!;
  try {
    const hits = matcher.match(['aaa', 'none']);
    vi.advanceTimersByTime(3000);
    expect(await hits).toEqual([true, false]);
  } finally {
    vi.useRealTimers();
    await matcher.close();
  }
});
