import { describe, expect, it } from 'vitest';
import { decide, failureOf, settle, type RolloutInput } from '../../../../src/control/rollout/machine.ts';
import { observedInstance as instance, type Inhabitant } from './world.ts';

const v1 = { release: 1, epoch: 0 };
const v2 = { release: 2, epoch: 0 };
const v3 = { release: 3, epoch: 0 };

const input = (instances: Inhabitant[], change: Partial<RolloutInput> = {}): RolloutInput => ({
  ...{ state: 'running', strategy: 'rolling', maxInFlight: 1, from: v1, to: v2, instances },
  ...{ oldTargets: { web: 2 }, newTargets: { web: 2 }, routed: (i) => (i as Inhabitant).routed },
  ...change,
});
const old = (n: number, change = {}): Inhabitant => instance(`old${n}`, { ...v1, ordinal: n, ...change });
const fresh = (n: number, change = {}): Inhabitant => instance(`new${n}`, { ...v2, ordinal: n, ...change });
const starting = { state: 'starting', ready: false, wasHealthy: false, routed: false } as const;
const exit = { code: 3, signal: null, reason: 'exited', at: '' } as const;

/** `v1 web=2` for each count that is not 0. */
const words = (rollout: RolloutInput): string[] =>
  decide(rollout).wanted.flatMap((w) => (w.count === 0 ? [] : [`v${w.release} ${w.processType}=${w.count}`]));

describe('a rolling rollout', () => {
  it('starts as many as may be in flight beside the old ones', () => {
    expect(words(input([old(1), old(2)]))).toEqual(['v2 web=1', 'v1 web=2']);
    expect(words(input([old(1), old(2)], { maxInFlight: 5 }))).toEqual(['v2 web=2', 'v1 web=2']);
  });

  it('waits for the new one, and says for what', () => {
    const waiting = input([old(1), old(2), fresh(1, starting)]);
    expect(words(waiting)).toEqual(['v2 web=1', 'v1 web=2']);
    expect(decide(waiting)).toMatchObject({ state: 'running', waitsFor: 'web: 0 of 2 healthy' });
  });

  it('lets old ones go only when routers know the new one', () => {
    expect(words(input([old(1), old(2), fresh(1, { routed: false })]))).toEqual(['v2 web=1', 'v1 web=2']);
    expect(words(input([old(1), old(2), fresh(1)]))).toEqual(['v2 web=2', 'v1 web=1']);
  });

  it('has succeeded when all new ones serve', () => {
    const done = decide(input([old(1), fresh(1), fresh(2)]));
    expect(done).toMatchObject({ state: 'succeeded', waitsFor: '' });
    expect(done.wanted).toContainEqual({ ...v1, processType: 'web', count: 0 });
  });

  it('keeps what it started when routers are out of sight, and starts no old ones again', () => {
    const routed = () => false;
    const away = input([old(1), fresh(1), fresh(2), fresh(3)], {
      newTargets: { web: 4 },
      oldTargets: { web: 4 },
      routed,
    });
    expect(words(away)).toEqual(['v2 web=3', 'v1 web=1']);
  });

  it('replaces old ones that are lost meanwhile', () => {
    expect(words(input([old(1), fresh(1, starting)]))).toEqual(['v2 web=1', 'v1 web=2']);
  });

  it('starts a first release all at once', () => {
    expect(words(input([], { from: null, oldTargets: {}, newTargets: { web: 3 } }))).toEqual(['v2 web=3']);
  });

  it('keeps a process type that the new release lacks until the rest is up', () => {
    const change = { oldTargets: { web: 1, api: 1 }, newTargets: { web: 1 } };
    const api = instance('api1', { ...v1, processType: 'api' });
    expect(words(input([old(1), api, fresh(1, starting)], change))).toEqual(['v2 web=1', 'v1 web=1', 'v1 api=1']);
    expect(words(input([old(1), api, fresh(1)], change))).toEqual(['v2 web=1']);
  });

  it('lets healthy instances of a superseded rollout serve until the new ones do', () => {
    const present = [old(1), fresh(1)];
    const change = { to: v3, oldTargets: { web: 2 }, newTargets: { web: 2 } };
    expect(words(input(present, change))).toEqual(['v3 web=1', 'v1 web=1', 'v2 web=1']);
    const v3web = instance('n', { ...v3 });
    expect(words(input([...present, v3web], change))).toEqual(['v3 web=2', 'v1 web=1']);
    expect(words(input([old(1), fresh(1, starting)], change))).toEqual(['v3 web=1', 'v1 web=2']);
  });

  it('goes on while it is scaled', () => {
    const grown = { newTargets: { web: 4 }, oldTargets: { web: 4 } };
    expect(words(input([old(1), old(2), fresh(1)], grown))).toEqual(['v2 web=2', 'v1 web=3']);
    const shrunk = { newTargets: { web: 1 }, oldTargets: { web: 1 } };
    expect(words(input([old(1), old(2), fresh(1, starting)], shrunk))).toEqual(['v2 web=1', 'v1 web=1']);
  });
});

describe('recreate', () => {
  const recreate = { strategy: 'recreate' } as const;
  it('stops all old ones before the first new one starts', () => {
    expect(words(input([old(1), old(2)], recreate))).toEqual([]);
    expect(words(input([old(1, { leaving: true })], recreate))).toEqual([]);
    expect(words(input([], recreate))).toEqual(['v2 web=2']);
  });

  it('runs no old one beside a new one while it is paused either', () => {
    const paused = { ...recreate, state: 'paused' } as const;
    expect(words(input([fresh(1, starting), fresh(2, starting)], paused))).toEqual(['v2 web=2']);
    expect(words(input([fresh(1, starting)], paused))).toEqual(['v2 web=2']);
    // Before there is a new one, the old release serves.
    expect(words(input([old(1), old(2)], paused))).toEqual(['v1 web=2']);
    expect(words(input([old(1, { leaving: true })], paused))).toEqual(['v1 web=2']);
  });

  it('goes back the same way', () => {
    const back = { ...recreate, state: 'cancelling' } as const;
    expect(words(input([fresh(1)], back))).toEqual([]);
    expect(words(input([], back))).toEqual(['v1 web=2']);
  });
});

describe('a paused rollout', () => {
  it('moves nothing', () => {
    const paused = input([old(1), fresh(1)], { state: 'paused' });
    expect(words(paused)).toEqual(['v2 web=1', 'v1 web=1']);
    expect(decide(paused).state).toBe('paused');
  });

  it('still fails when its new ones do', () => {
    const crashed = fresh(1, { ...starting, state: 'crashed', restarts: 2, exit });
    expect(decide(input([old(1), crashed], { state: 'paused' })).state).toBe('failing');
  });
});

describe('a new release that does not work', () => {
  it('is given three attempts', () => {
    const crashed = (restarts: number) => fresh(1, { ...starting, state: 'crashed', restarts, exit });
    expect(decide(input([old(1), old(2), crashed(1)])).state).toBe('running');
    const failed = decide(input([old(1), old(2), crashed(2)]));
    expect(failed.failure).toMatchObject({ instance: { id: 'new1' }, reason: 'exited with status 3' });
  });

  it('has no more attempts because it was healthy in between', () => {
    const flapping = fresh(1, { state: 'crashed', ready: false, restarts: 2, wasHealthy: true, exit });
    expect(decide(input([old(1), old(2), flapping])).state).toBe('failed');
  });

  it.each([
    [
      'a start that takes too long',
      { reason: 'startup-timeout', message: 'did not listen on 8080' },
      'did not listen on 8080',
    ],
    ['a start that fails', { reason: 'start-failed', message: 'no such file' }, 'no such file'],
  ])('fails at once by %s', (_, change, reason) => {
    const failing = fresh(1, { ...starting, exit: { ...exit, ...change } });
    expect(failureOf(failing)).toBe(reason);
  });

  it.each([
    [{ reason: 'oom' }, 'was killed for exceeding its memory limit'],
    [{ code: null, signal: 'SIGSEGV' }, 'ended by SIGSEGV'],
    [{ code: 3 }, 'exited with status 3'],
    [{ message: 'the words of the agent' }, 'the words of the agent'],
  ])('says how it ended: %o', (change, reason) => {
    const crashed = fresh(1, {
      ...starting,
      state: 'crashed',
      restarts: 2,
      exit: { ...exit, ...change } as typeof exit,
    });
    expect(failureOf(crashed)).toBe(reason);
  });

  it('keeps its healthy instances until the old ones are back', () => {
    const instances = [old(1), old(2, starting), fresh(1), fresh(2, { ...starting, exit, restarts: 3 })];
    const back = input(instances, { state: 'failing' });
    expect(words(back)).toEqual(['v1 web=2', 'v2 web=1']);
    expect(decide(back)).toMatchObject({ state: 'failing', waitsFor: expect.stringContaining('going back') as string });
    expect(decide(input([old(1), old(2), fresh(1)], { state: 'failing' }))).toMatchObject({ state: 'failed' });
  });

  it('is over, too, when the old one does not come back either', () => {
    const hopeless = old(2, { ...starting, state: 'crashed', restarts: 5, exit });
    expect(decide(input([old(1), hopeless], { state: 'failing' })).state).toBe('failed');
  });

  it('leaves nothing of a first release', () => {
    const first = input([fresh(1)], { state: 'failing', from: null, oldTargets: {} });
    expect(decide(first)).toMatchObject({ state: 'failed' });
    expect(words(first)).toEqual([]);
  });
});

describe('settling', () => {
  it('lets what a superseded rollout left serve until the release in force is there in full', () => {
    const rest = { strategy: 'rolling', from: v1, oldTargets: { web: 2 }, routed: () => true } as const;
    expect(settle({ ...rest, instances: [old(1), fresh(1)] }).wanted).toEqual([
      { ...v1, processType: 'web', count: 2 },
      { ...v2, processType: 'web', count: 1 },
    ]);
    expect(settle({ ...rest, instances: [old(1), old(2), fresh(1)] })).toEqual({
      wanted: [{ ...v1, processType: 'web', count: 2 }],
      waitsFor: '',
    });
  });
});
