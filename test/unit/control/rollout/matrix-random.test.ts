/** Any commands in any order, in a world where things break: it comes to an end, and ends right. */
import { expect, it } from 'vitest';
import { appUrl } from '../../../support/api.ts';
import { healthy } from '../../../support/app-life.ts';
import { Routing } from '../../../../src/control/reconcile/routing.ts';
import { beside, grayOf } from '../../../../src/control/deploy/gray.ts';
import { keptRunning } from '../../../../src/control/deploy/diff.ts';
import { Matrix, pushBody } from './matrix-world.ts';

/** Numbers of a linear congruential generator: the same for the same seed. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const steps = 14;

async function ungray(m: Matrix): Promise<unknown> {
  const [rule] = grayOf((await m.appIfAny())!).rules;
  return rule && m.api.call('DELETE', `${appUrl}/gray/${rule.id}`);
}

async function live(seed: number): Promise<void> {
  const m = await Matrix.in('steady');
  try {
    const below = chance(seed);
    const done: string[] = [];
    const { control } = m;
    const commands: [string, () => Promise<unknown>][] = [
      ['push two', () => m.begin({})],
      ['push recreate', () => m.begin({ release: './migrate' }, { strategy: 'recreate' })],
      ['push canary', () => m.begin({}, { strategy: 'canary', steps: [25, 100], manual: true })],
      ['push three', async () => m.post('/pushes', await pushBody(control, 'three', { concurrent: 'wait' }))],
      ['push one', async () => m.post('/pushes', await pushBody(control, 'one'))],
      [
        'scale',
        () => m.api.call('PATCH', `${appUrl}/formation`, { body: { processes: { web: { instances: below(6) } } } }),
      ],
      [
        'memory',
        () =>
          m.api.call('PATCH', `${appUrl}/formation`, { body: { processes: { web: { memoryMb: 256 << below(3) } } } }),
      ],
      [
        'config',
        () =>
          m.api.call('PATCH', `${appUrl}/config`, {
            body: { set: { N: String(below(9)) }, unset: [], restart: below(3) > 0 },
          }),
      ],
      ['restart', () => m.post('/restart')],
      ['stop', () => m.post('/stop')],
      ['start', () => m.post('/start')],
      ['rollback', () => m.post('/rollback')],
      ['pause', () => m.post('/rollout/pause')],
      ['continue', () => m.post('/rollout/continue')],
      ['cancel', () => m.post('/rollout/cancel')],
      ['gray', async () => m.post('/gray', { release: (await m.appIfAny())?.release ?? 1, match: 'cookie:a=b' })],
      ['gray of another', () => m.post('/gray', { release: 1 + below(8), match: 'percent:5', instances: 2 })],
      ['gray removed', () => ungray(m)],
      ['crashes', () => Promise.resolve(m.broken.add(2 + below(6)))],
      ['mended', () => Promise.resolve([...m.broken].map((release) => m.broken.delete(release)))],
      ['agent silent', () => Promise.resolve(control.fakeHub.links.delete('h1'))],
      ['router silent', () => Promise.resolve(control.fakeHub.links.delete('r'))],
      ['heard again', () => Promise.resolve(control.fakeHub.links.add('h1').add('r').size)],
      // What a control plane that begins anew has lost: everything that is not in its store.
      ['control plane', () => Promise.resolve((control.routing = new Routing({ ...control, drainMs: 30_000 })))],
    ];
    const what = (): string => `seed ${seed}: ${done.join(', ')}`;
    for (let i = 0; i < steps; i++) {
      const [name, act] = commands[below(commands.length)]!;
      done.push(name);
      const answer = (await act()) as { status?: number; body?: unknown } | undefined;
      // Refused is fine, a bug is not.
      expect(answer?.status ?? 200, `${what()} ${JSON.stringify(answer?.body)}`).toBeLessThan(500);
      for (let j = below(4); j > 0; j--) await m.round();
    }
    m.broken.clear();
    m.behave = (row) =>
      row.command === null
        ? healthy(row)
        : {
            ...healthy(row),
            state: 'crashed',
            ready: false,
            exit: { code: 0, signal: null, reason: 'exited', at: '' },
          };
    control.fakeHub.links.add('h1').add('r');
    // The last command may have ended at once, or have been a control plane that knows of no router yet.
    for (let i = 0; i < 2; i++) await m.round();
    for (let i = 0; i < 12 && (await m.open()).length > 0; i++) {
      if (await m.rollout()) await m.post('/rollout/continue');
      for (let j = 0; j < 8; j++) await m.round();
    }
    await m.settle().catch((error: unknown) => {
      throw new Error(what(), { cause: error });
    });
    const { state, release, epoch, formation, gray } = await m.kept();
    const running = await m.running();
    const releases = Object.entries(state === 'active' ? beside(grayOf({ gray }), release) : {});
    for (const [led, counts] of releases) {
      const own = running.filter((row) => row.release === Number(led) && row.epoch === epoch);
      expect(own.length, what()).toBe(counts['web']);
    }
    const runs = running.filter((row) => !releases.some(([led]) => Number(led) === row.release));
    const wanted = Object.values(formation).reduce((sum, f) => sum + (keptRunning(f.kind) ? f.instances : 0), 0);
    expect(runs.length, what()).toBe(state === 'stopped' ? 0 : wanted);
    for (const row of runs) {
      expect({ release: row.release, epoch: row.epoch }, what()).toEqual({ release, epoch });
      expect(row.memory_mb, what()).toBe(formation[row.process_type]?.memoryMb);
    }
    expect(await m.served(), what()).toBe(running.length);
    expect(control.errors, what()).toEqual([]);
  } finally {
    await m.control.close();
  }
}

it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 44, 166, 254])('any commands, seed %i', live);
