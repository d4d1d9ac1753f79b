/** What every LogStore must do for those who follow: at once, in order, all of it. Part of `logStoreSuite`. */
import { expect, it } from 'vitest';
import type { LogEntry, LogStore } from '../../src/control/logs/port.ts';
import { followUntil, isLine, sender } from '../support/log-store.ts';

export function followSuite(current: () => LogStore): void {
  it('calls subscribers at once with what they asked for', async () => {
    const heard: string[] = [];
    const stop = current().subscribe({ appId: 'app_1', processType: 'web' }, (entries) => {
      heard.push(...entries.filter(isLine).map(({ line }) => line));
    });
    const { send } = sender(current);
    const done = send('now\n');
    expect(heard).toEqual(['now']);
    void sender(current, { instance: 'ins_2', processType: 'worker' }).send('not me\n');
    await done;
    stop();
    await send('too late\n');
    expect(heard).toEqual(['now']);
  });

  it('follows without loss or doubling while lines arrive', async () => {
    const { send } = sender(current);
    const expected = Array.from({ length: 3000 }, (_, i) => `line ${i}`);
    for (const line of expected.slice(0, 1000)) void send(`${line}\n`);
    const following = followUntil(current(), {}, (entries) => entries.length >= 3000);
    for (let i = 1000; i < 3000; i += 50) {
      for (const line of expected.slice(i, i + 50)) void send(`${line}\n`);
      await current().flush();
    }
    const { entries } = await following;
    expect(entries.filter(isLine).map(({ line }) => line)).toEqual(expected);
  });

  it('begins a follow with the tail and filters what arrives', async () => {
    const web = sender(current);
    const worker = sender(current, { instance: 'ins_2', name: 'worker.1', processType: 'worker' });
    await web.send('one\ntwo\nthree\n');
    const following = followUntil(current(), { tail: 2, processType: 'web', grep: 't+' }, (found) => found.length >= 3);
    await new Promise(setImmediate);
    await worker.send('nothing\n');
    await web.send('four\ntwenty\n');
    const { entries } = await following;
    expect(entries.filter(isLine).map(({ line }) => line)).toEqual(['two', 'three', 'twenty']);
  });

  it('says how many of the lines that were shown come again after a cursor', async () => {
    const senders = Array.from({ length: 4 }, (_, i) => sender(current, { instance: `ins_${i}`, name: `web.${i}` }));
    let sent = 0;
    const sending = setInterval(() => {
      // Times that do not follow the order of arrival.
      void senders[sent % 4]!.send(`line ${sent}\n`, { at: -sent });
      sent += 1;
    }, 1);
    const shown: string[] = [];
    let resume: { cursor?: string } = {};
    let known: string[] = [];
    try {
      // A reader whose connection breaks after each cursor that it gets.
      for (let connection = 0; connection < 10; connection++) {
        const received: string[] = [];
        const end = new AbortController();
        for await (const { entries, cursor, after } of current().follow({ appId: 'app_1', ...resume }, end.signal)) {
          received.push(...entries.filter(isLine).map(({ line }) => line));
          if (cursor === null || received.length <= known.length) continue;
          expect(received).toEqual(expect.arrayContaining(known));
          shown.push(...received.filter((line) => !known.includes(line)));
          known = after === 0 ? [] : received.slice(-after);
          resume = { cursor };
          end.abort();
        }
      }
    } finally {
      clearInterval(sending);
    }
    const number = (line: string): number => Number(line.split(' ')[1]);
    expect(shown.map(number).sort((a, b) => a - b)).toEqual(Array.from(shown, (_, i) => i));
  });

  it('serves a slow reader all of it and slows nobody', async () => {
    const { send } = sender(current);
    await send('first\n');
    const end = new AbortController();
    const reader = current().follow({ appId: 'app_1' }, end.signal)[Symbol.asyncIterator]();
    await reader.next();
    const text = `${'x'.repeat(99)}\n`.repeat(1000);
    for (let i = 0; i < 100; i++) await send(text);
    const found: LogEntry[] = [];
    while (found.length < 100_000) {
      const next = await reader.next();
      if (next.done) break;
      found.push(...next.value.entries);
    }
    end.abort();
    expect((await reader.next()).done).toBe(true);
    const seqs = found.filter(isLine).map(({ seq }) => seq);
    expect(seqs.length).toBe(100_000);
    expect(seqs.every((seq, i) => seq === i + 2)).toBe(true);
  });
}
