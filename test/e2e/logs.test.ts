/** Logs: all of them, searchable, live, and there when what wrote them is gone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogLine } from '../../src/shared/contracts/api.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
  await paas.ok(['push', 'talker', '-i', '2'], { cwd: paas.source('probe') });
  await paas.ok(['push', 'pair'], { cwd: paas.source('node-web-worker') });
});
afterAll(() => paas.remove());

const print = (app: string, text: string): Promise<unknown> => paas.get(app, `/print?text=${encodeURIComponent(text)}`);
/** Until a line with the text is stored. */
const written = (app: string, text: string): Promise<LogLine> =>
  paas.waitFor(`${app} to have logged ${text}`, async () =>
    (await paas.logs(app, '-n', 'all')).find(({ line }) => line === text),
  );

describe('paas logs', () => {
  it('has every line with its time, number, stream and writer', async () => {
    await print('talker', 'hello log');
    const line = await written('talker', 'hello log');
    expect(Object.keys(line).sort()).toEqual([
      'app',
      'instance',
      'line',
      'process',
      'release',
      'seq',
      'source',
      'stream',
      'ts',
    ]);
    expect(line).toMatchObject({ app: 'talker', process: 'web', release: 1, source: 'app', stream: 'stdout' });
    expect(line.instance).toMatch(/^web\.[12]$/);
    expect(Math.abs(Date.now() - Date.parse(line.ts))).toBeLessThan(30_000);
    await paas.get('talker', '/complain?text=oh+no');
    expect(await written('talker', 'oh no')).toMatchObject({ stream: 'stderr' });
    const text = await paas.ok(['logs', '-a', 'talker', '--grep', 'hello log']);
    expect(text.stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z web\.[12] \| hello log\n$/);
  });

  it('finds lines by text, process, instance, number and time', async () => {
    await print('talker', 'needle 17');
    await written('talker', 'needle 17');
    const lines = async (...flags: string[]): Promise<string[]> =>
      (await paas.logs('talker', ...flags)).map(({ line }) => line);
    expect(await lines('--grep', 'needle \\d+$')).toEqual(['needle 17']);
    expect(await lines('-n', '1', '--source', 'app')).toHaveLength(1);
    expect(await lines('--since', '10m', '--grep', 'needle')).toHaveLength(1);
    expect(await lines('--since', '2999-01-01T00:00:00Z')).toEqual([]);
    expect(await lines('--until', '1h')).toEqual([]);
    const first = await paas.waitFor('web.1 to have logged', async () => {
      const lines = await paas.logs('talker', '--instance', 'web.1', '--source', 'app');
      return lines.length > 0 && lines;
    });
    expect(new Set(first.map(({ instance }) => instance))).toEqual(new Set(['web.1']));
    await written('pair', 'worker started');
    const workers = await paas.logs('pair', '--process', 'worker', '--source', 'app');
    expect(workers.length).toBeGreaterThan(0);
    expect(new Set(workers.map(({ process }) => process))).toEqual(new Set(['worker']));
    expect((await paas.cli(['logs', '-a', 'talker', '--since', 'yesterday'])).code).toBe(2);
    const bad = await paas.cli(['logs', '-a', 'talker', '--grep', '(', '--json']);
    expect(bad.code).toBe(2);
  });

  it('tells platform lines from those of the app', async () => {
    const lines = await paas.logs('pair', '--source', 'platform');
    expect(lines.some(({ line }) => line.includes('v1 is live'))).toBe(true);
    await written('pair', 'worker started');
    const text = (await paas.ok(['logs', '-a', 'pair', '-n', 'all'])).stdout;
    expect(text).toMatch(/ worker\.1 \| worker started/);
    expect(text).toMatch(/ platform.*\| /);
  });

  it('follows live, in order, and ends with Ctrl-C', async () => {
    const tail = paas.start(['logs', '-t', '-a', 'talker', '-n', '1', '--json']);
    await paas.waitFor('the tail to begin', () => tail.lines.length > 0);
    for (let i = 1; i <= 20; i++) await print('talker', `live ${i}`);
    const shown = () =>
      tail.lines.map((line) => JSON.parse(line) as LogLine).filter(({ line }) => line.startsWith('live '));
    // The last one of an instance may come before the last but one of the other.
    await paas.waitFor('all lines to come', () => new Set(shown().map(({ line }) => line)).size === 20);
    const live = shown();
    const numbers = (instance: string): number[] =>
      live.filter((line) => line.instance === instance).map(({ line }) => Number(line.slice(5)));
    expect(live).toHaveLength(20);
    for (const instance of ['web.1', 'web.2'])
      expect(numbers(instance)).toEqual([...numbers(instance)].sort((a, b) => a - b));
    expect((await tail.interrupt()).code).toBe(130);
  });

  it('keeps what instances and releases said that are gone', async () => {
    const cwd = paas.source('probe');
    await paas.ok(['push', 'mortal', '-i', '2'], { cwd });
    const text = 'last words of the second';
    await paas.waitFor('web.2 to speak', async () => {
      // At the same time, so that not all go to the same one.
      await Promise.all(Array.from({ length: 10 }, () => print('mortal', text)));
      return (await paas.logs('mortal', '--instance', 'web.2')).some(({ line }) => line === text);
    });
    await paas.ok(['scale', 'web=1', '-a', 'mortal']);
    await paas.ok(['config', 'set', 'A=1', '-a', 'mortal']);
    await paas.settled('mortal', { web: 1 });
    // Last words come after the end of who said them was told.
    await paas.waitFor('all that web.2 said', async () => {
      const gone = (await paas.logs('mortal', '--instance', 'web.2', '--release', 'v1')).map(({ line }) => line);
      return gone.includes(text) && gone.includes('asked to end');
    });
    await paas.ok(['stop', '-a', 'mortal']);
    await paas.waitFor('what all three said', async () => {
      const lines = await paas.logs('mortal', '-n', 'all');
      return lines.filter(({ line }) => line === 'asked to end').length >= 3;
    });
  });

  it('splits and marks a line over 64 KiB, and loses nothing of it', async () => {
    const cwd = paas.directory({
      Procfile: 'worker: node long.js\n',
      'long.js': 'console.log("x".repeat(150000)); console.log("short"); setInterval(()=>{},1e6)',
    });
    await paas.ok(['push', 'long'], { cwd });
    await written('long', 'short');
    const lines = (await paas.logs('long', '--source', 'app')).filter(({ line }) => line.startsWith('x'));
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.map(({ line }) => line).join('')).toBe('x'.repeat(150_000));
    expect(lines.slice(0, -1).every(({ partial }) => partial === true)).toBe(true);
  });

  it('has numbered lines without a gap out of a flood of 100 MB', { timeout: 300_000 }, async () => {
    const code = `
      const fs = require('node:fs');
      const lines = Array.from({ length: 10000 }, (_, i) => i);
      for (let block = 0; block < 100; block++) {
        fs.writeSync(1, lines.map((i) => String(block * 10000 + i).padStart(7) + ' ' + '.'.repeat(92) + '\\n').join(''));
      }
      setInterval(() => {}, 1e6);`;
    // One write call may write less than it was given: only whole files do not.
    const cwd = paas.directory({
      Procfile: 'worker: node flood.js\n',
      'flood.js': code.replace('fs.writeSync(1, ', 'fs.writeFileSync(1, '),
    });
    await paas.ok(['push', 'flood'], { cwd });
    await paas.waitFor(
      'the last line',
      async () =>
        (await paas.logs('flood', '-n', '5', '--source', 'app')).some(({ line }) => line.startsWith(' 999999 ')),
      180_000,
    );
    const all = paas.start(['logs', '-a', 'flood', '--source', 'app', '-n', 'all']);
    await all.exited;
    const numbers = all.lines.map((line) => Number(/\| +(\d+) \.{92}$/.exec(line)?.[1] ?? -1));
    expect(numbers.length).toBe(1_000_000);
    expect(numbers.findIndex((number, i) => number !== i)).toBe(-1);
    await paas.ok(['destroy', 'flood', '--yes']);
  });
});
