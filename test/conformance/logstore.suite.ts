/** What every LogStore must do, whatever it keeps its lines in. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogStore } from '../../src/control/logs/port.ts';
import { followSuite } from './logstore-follow.suite.ts';
import { epoch, followUntil, isLine, lines, query, sender, type LogStoreUnderTest } from '../support/log-store.ts';

export function logStoreSuite(name: string, make: () => Promise<LogStoreUnderTest>): void {
  describe(`LogStore: ${name}`, () => {
    let driver: LogStoreUnderTest;
    let store: LogStore;
    const current = (): LogStore => store;
    beforeEach(async () => {
      driver = await make();
      store = await driver.open();
    });
    afterEach(async () => {
      await store.close();
      await driver.cleanUp();
    });

    it('answers lines with everything that is known of them', async () => {
      await sender(current).send('hello\nworld\n', { at: 1.5 });
      await sender(current, { stream: 'stderr' }).send('oh\r\n', { at: 2 });
      const about = { process: 'web', instance: 'web.1', release: 1, source: 'app' };
      expect(await query(store)).toEqual([
        { ts: '2024-05-01T12:00:01.500Z', ...about, stream: 'stdout', seq: 1, line: 'hello' },
        { ts: '2024-05-01T12:00:01.500Z', ...about, stream: 'stdout', seq: 2, line: 'world' },
        { ts: '2024-05-01T12:00:02.000Z', ...about, stream: 'stderr', seq: 3, line: 'oh' },
      ]);
    });

    it('acknowledges the position that is durable, and knows it after a kill', async () => {
      const { send } = sender(current);
      expect(store.positions()).toEqual([]);
      expect(await send('12345\n')).toEqual({ instance: 'ins_1', stream: 'stdout', offset: 6 });
      await sender(current, { instance: 'ins_2', appId: 'app_2' }).send('1\n');
      await driver.kill(store);
      store = await driver.open();
      expect(store.positions(['ins_1', 'ins_none'])).toEqual([{ instance: 'ins_1', stream: 'stdout', offset: 6 }]);
      expect(store.positions()).toHaveLength(2);
      await send('next\n');
      expect(await query(store)).toMatchObject([
        { line: '12345', seq: 1 },
        { line: 'next', seq: 2 },
      ]);
    });

    it('stores once what is sent twice, also when it is cut differently', async () => {
      const { send } = sender(current);
      await send('one\ntwo\n');
      await send('one\ntwo\n', { from: 0 });
      await send('two\nthree\n', { from: 4 });
      const [repeated, next] = [send('three\n', { from: 8 }), send('four\n')];
      await Promise.all([repeated, next]);
      expect(await lines(store)).toEqual(['one', 'two', 'three', 'four']);
      expect(await repeated).toMatchObject({ offset: 14 });
    });

    it('shows what the host had to drop as a gap with its count', async () => {
      const { send } = sender(current);
      await send('one\n', { at: 1 });
      await send('ten\n', { at: 9, from: 100, dropped: { bytes: 96, lines: 8 } });
      expect(await query(store)).toMatchObject([
        { line: 'one', seq: 1 },
        {
          gap: {
            instance: 'web.1',
            from: '2024-05-01T12:00:01.000Z',
            to: '2024-05-01T12:00:09.000Z',
            count: 8,
            bytes: 96,
          },
        },
        { line: 'ten', seq: 10 },
      ]);
    });

    it('shows a hole that nobody explained as a gap too', async () => {
      const { send } = sender(current);
      await send('one\n', { from: 50 });
      await send('two\n', { from: 100, dropped: { bytes: 10, lines: 2 } });
      expect(await query(store)).toMatchObject([
        { gap: { count: 1, bytes: 50 } },
        { line: 'one' },
        { gap: { count: 3, bytes: 46 } },
        { line: 'two' },
      ]);
    });

    it('marks the pieces of a long line, which together are the line', async () => {
      const long = 'é'.repeat(100_000);
      const { send } = sender(current);
      await send(`short\n${long}\nend\n`);
      await send('first half, ', { partial: true });
      await send('second half\n');
      const found = (await query(store)).filter(isLine);
      const pieces = found.slice(1, -3);
      expect(pieces.map(({ line }) => line).join('')).toBe(long);
      expect(pieces.map(({ partial }) => partial ?? false)).toEqual([true, true, true, false]);
      expect(found.slice(-3)).toMatchObject([
        { line: 'end' },
        { line: 'first half, ', partial: true },
        { line: 'second half' },
      ]);
      expect(found.map(({ seq }) => seq)).toEqual(found.map((_, i) => i + 1));
    });

    it('replaces what is not UTF-8 and keeps empty lines', async () => {
      const { send } = sender(current);
      await send(Buffer.from([0x61, 0xff, 0xc3, 0x0a, 0x0a, 0x62]));
      expect(await lines(store)).toEqual(['a\uFFFD\uFFFD', '', 'b']);
    });

    it('orders by time over instances, and by arrival within the same time', async () => {
      const web = sender(current);
      const worker = sender(current, { instance: 'ins_2', name: 'worker.1', processType: 'worker' });
      await web.send('a\n', { at: 10 });
      await worker.send('late, but earlier\n', { at: 5 });
      await web.send('b\n', { at: 20 });
      await worker.send('c\n', { at: 20 });
      expect(await lines(store)).toEqual(['late, but earlier', 'a', 'b', 'c']);
      expect(await lines(store, { tail: 2 })).toEqual(['b', 'c']);
      expect(await lines(store, { tail: 3 })).toEqual(['a', 'b', 'c']);
      expect(await lines(store, { tail: 100 })).toHaveLength(4);
      expect(await lines(store, { tail: 0 })).toEqual([]);
    });

    it('finds by time, process, instance, release, source and text', async () => {
      await sender(current).send('web one\n', { at: 1 });
      await sender(current, { instance: 'ins_2', name: 'web.2', release: 2 }).send('web two\n', { at: 2 });
      await sender(current, { instance: 'bld_1', name: 'build', processType: 'build', source: 'build' }).send(
        'built\n',
        {
          at: 3,
        },
      );
      expect(await lines(store, { since: epoch + 2000 })).toEqual(['web two', 'built']);
      expect(await lines(store, { until: epoch + 1999 })).toEqual(['web one']);
      expect(await lines(store, { processType: 'web' })).toEqual(['web one', 'web two']);
      expect(await lines(store, { instance: 'web.2' })).toEqual(['web two']);
      expect(await lines(store, { instance: 'ins_1' })).toEqual(['web one']);
      expect(await lines(store, { release: 2 })).toEqual(['web two']);
      expect(await lines(store, { source: 'build' })).toEqual(['built']);
      expect(await lines(store, { grep: 'o' })).toEqual(['web one', 'web two']);
      expect(await lines(store, { grep: '^(?:web|x+) t', tail: 5 })).toEqual(['web two']);
      expect(await lines(store, { grep: '(?i)WEB', tail: 1 })).toEqual(['web two']);
      expect(await lines(store, { processType: 'nothing' })).toEqual([]);
      expect(await lines(store, { appId: 'app_none' })).toEqual([]);
    });

    it('refuses an expression that would take for ever, and what is none', async () => {
      await sender(current).send(`${'a'.repeat(60_000)}!\n`);
      await expect(lines(store, { grep: '(a+)+$' })).rejects.toMatchObject({ code: 'bad_request' });
      await expect(lines(store, { grep: '(' })).rejects.toMatchObject({ code: 'bad_request' });
      await expect(lines(store, { grep: 'x'.repeat(2000) })).rejects.toMatchObject({ code: 'bad_request' });
      expect(await lines(store, { grep: 'a!$' })).toHaveLength(1);
    });

    it('keeps lines of the platform beside those of the app', async () => {
      const { send } = sender(current);
      await send('hello\n', { at: 1 });
      await store.appendPlatformLine('app_1', { instance: 'web.1', processType: 'web', text: 'web.1 crashed' });
      await store.appendPlatformLine('app_1', { instance: 'platform', text: 'two\nlines' });
      expect(await query(store, { source: 'platform' })).toMatchObject([
        { instance: 'web.1', process: 'web', release: null, line: 'web.1 crashed', seq: 1 },
        { instance: 'platform', line: 'two', seq: 2 },
        { instance: 'platform', line: 'lines', seq: 3 },
      ]);
      expect(store.positions()).toHaveLength(1);
    });

    it('refuses blocks that contradict themselves', async () => {
      const { send } = sender(current);
      await expect(send('x\n', { appId: '../up' })).rejects.toMatchObject({ code: 'bad_request' });
      const block = { type: 'logs', instance: 'i', name: 'n', appId: 'a', processType: 'p', release: null } as const;
      const rest = { source: 'app', stream: 'stdout', partial: false, dropped: { bytes: 0, lines: 0 } } as const;
      const ts = new Date(epoch).toISOString();
      for (const wrong of [
        { from: 0, to: 3, ts },
        { from: -1, to: 0, ts },
        { from: 0, to: 1, ts: 'now' },
      ]) {
        await expect(store.append({ ...block, ...rest, ...wrong }, Buffer.from('x'))).rejects.toMatchObject({
          code: 'bad_request',
        });
      }
    });

    followSuite(current);

    it('goes on from a cursor with exactly what arrived since', async () => {
      const { send } = sender(current);
      await send('one\ntwo\n');
      const { cursor } = await followUntil(store, { tail: 1 }, (_, batches) =>
        batches.some((one) => one.cursor !== null),
      );
      await send('three\n', { at: -100 });
      await driver.kill(store);
      store = await driver.open();
      await send('four\n');
      const { entries } = await followUntil(store, { cursor: cursor!, tail: 1 }, (found) => found.length >= 2);
      expect(entries.filter(isLine).map(({ line }) => line)).toEqual(['three', 'four']);
      await expect(followUntil(store, { cursor: 'nonsense' }, () => true)).rejects.toMatchObject({
        code: 'bad_request',
      });
    });

    it('ends follows when it is closed', async () => {
      await sender(current).send('one\n');
      const following = followUntil(store, {}, () => false);
      await new Promise(setImmediate);
      await store.close();
      expect((await following).entries).toHaveLength(1);
      store = await driver.open();
    });

    it('deletes an app and forgets instances that are gone', async () => {
      const { send } = sender(current);
      await send('one\n');
      await store.sweep(() => false);
      expect(store.positions()).toHaveLength(1);
      await store.remove('app_1');
      expect(await lines(store)).toEqual([]);
      await store.sweep((instance) => instance === 'ins_1');
      expect(store.positions()).toHaveLength(1);
      await send('still stopping\n');
      expect(await lines(store)).toEqual(['still stopping']);
      await store.remove('app_1');
      await store.sweep(() => false);
      expect(store.positions()).toEqual([]);
      expect(store.usage()).toEqual({ bytes: 0, oldest: null, droppedLines: 0 });
    });

    it('says how much there is and since when', async () => {
      await sender(current).send('one\n', { at: 3 });
      expect(store.usage('app_1')).toMatchObject({ oldest: '2024-05-01T12:00:03.000Z', droppedLines: 0 });
      expect(store.usage().bytes).toBeGreaterThan(4);
      expect(store.usage('app_none').oldest).toBeNull();
    });
  });
}
