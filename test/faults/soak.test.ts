/**
 * What grows with use, and must not. A control plane lives through pushes, events and a day of logs in simulated time.
 *
 * By itself this takes 150 pushes, and tells from the second half what ten thousand would take; with
 * PAAS_TEST_SOAK=full it takes all ten thousand, which lasts some twenty minutes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { beforeAll, describe, expect, it } from 'vitest';
import { retention } from '../../src/control/reconcile/retention.ts';
import { bundle } from '../support/bundle.ts';
import type { Mark } from './programs/soak.ts';

const full = process.env['PAAS_TEST_SOAK'] === 'full';
const pushes = full ? 10_000 : 150;
const events = 100_000;
const MiB = 1 << 20;

/** Memory where there is some: thousands of pushes fsync a hundred thousand times. */
function workplace(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

let marks: Mark[] = [];
beforeAll(async () => {
  const program = await bundle('test/faults/programs/soak.ts', 'soak.js', 'external');
  const child = spawn(process.execPath, ['--expose-gc', program, String(pushes), String(events)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: workplace() },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number];
  expect(code, output).toBe(0);
  marks = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Mark);
}, 45 * 60_000);

const of = (phase: string): Mark[] => marks.filter((mark) => mark.phase === phase);
/** By how much a figure rises from the middle of a phase to its end. */
const rise = (phase: string, figure: (mark: Mark) => number): number => {
  const all = of(phase);
  return figure(all.at(-1)!) - figure(all[all.length / 2 - 1]!);
};
const memory = ({ heap, external }: Mark): number => heap + external;

describe.each(['pushes', 'events', 'logs'])('%s', (phase) => {
  it('leave memory as it was', () => {
    expect(of(phase)).toHaveLength(10);
    // A leak of 100 bytes an event or of 10 KB a push would show.
    expect(rise(phase, memory)).toBeLessThan(full ? 4 * MiB : MiB);
  });

  it('leave no handles open', () => {
    // Packs are kept open, up to 64 of them.
    expect(rise(phase, ({ handles }) => handles)).toBeLessThanOrEqual(phase === 'pushes' ? 64 : 2);
    for (const { handles } of of(phase)) expect(handles).toBeLessThan(128);
  });
});

describe('disk', () => {
  it('holds so many releases of an app and what they need, however often it is pushed', () => {
    const { rows } = of('pushes').at(-1)!;
    expect(rows['releases']).toBe(Math.min(pushes, retention.releases));
    expect(rows['images']).toBeLessThanOrEqual(retention.releases);
    // What a client was told of in the last day stays as well; a push makes three objects. Small packs become one.
    expect(rows['objects']).toBeLessThanOrEqual(3 * (retention.releases + 24 * 12));
    expect(rows['packs']).toBeLessThanOrEqual(100);
    for (const table of ['instances', 'deployments', 'rollouts'] as const) {
      const bound = table === 'instances' ? retention.instances : retention.deployments;
      expect(rows[table], table).toBeLessThanOrEqual(bound + 2);
    }
  });

  it('holds so many events', () => {
    expect(of('events').at(-1)!.rows['events']).toBeLessThanOrEqual(retention.events);
  });

  it('holds no more of a day of logs than an app may have', () => {
    const days = of('logs').map(({ disk }) => disk);
    const other = of('events').at(-1)!.disk;
    // 360 MiB were written; a segment of 8 MiB more may be there until the next look.
    expect(Math.max(...days) - other).toBeLessThan((256 + 16) * MiB);
  });
});
