import { describe, expect, it } from 'vitest';
import { KeyedLoop } from '../../../../src/control/reconcile/wake.ts';

/** Work that ends when it is told to. */
function gate() {
  const started: string[] = [];
  const open: (() => void)[] = [];
  const work = (key: string) => {
    started.push(key);
    return new Promise<void>((resolve) => open.push(resolve));
  };
  const next = async () => {
    await expect.poll(() => open.length).toBeGreaterThan(0);
    open.shift()!();
  };
  return { started, work, next };
}

describe('a loop over keys', () => {
  it('never works twice at once on a key, and once more when it was woken meanwhile', async () => {
    const { started, work, next } = gate();
    const loop = new KeyedLoop(work, () => undefined);
    loop.wake('a');
    loop.wake('a');
    loop.wake('a');
    loop.wake('b');
    expect(started).toEqual(['a', 'b']);
    await next();
    await expect.poll(() => started).toEqual(['a', 'b', 'a']);
    await next();
    await next();
    await loop.close();
    expect(started).toEqual(['a', 'b', 'a']);
  });

  it('goes on after a failure, which it reports', async () => {
    const errors: string[] = [];
    let works = 0;
    const loop = new KeyedLoop(
      (key) => {
        works++;
        return Promise.reject(new Error(`no ${key}`));
      },
      (key, error) => errors.push(`${key}: ${String(error)}`),
    );
    loop.wake('a');
    await expect.poll(() => works).toBe(1);
    await expect.poll(() => errors).toEqual(['a: Error: no a']);
    loop.wake('a');
    await expect.poll(() => errors.length).toBe(2);
    await loop.close();
  });

  it('waits for what runs when it is closed, and takes nothing more', async () => {
    const { started, work, next } = gate();
    const loop = new KeyedLoop(work, () => undefined);
    loop.wake('a');
    loop.wake('a');
    let closed = false;
    const closing = loop.close().then(() => (closed = true));
    loop.wake('b');
    expect(closed).toBe(false);
    await next();
    await closing;
    expect(started).toEqual(['a']);
  });
});
