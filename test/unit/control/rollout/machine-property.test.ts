import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isUp, World, type Inhabitant } from './world.ts';

const types = ['web', 'worker'];
const old = { release: 1, epoch: 0 };
const superseded = { release: 2, epoch: 0 };
const target = { release: 3, epoch: 0 };

const happenings = [
  'healthy',
  'routed',
  'crash',
  'unready',
  'vanish',
  'ended',
  'routers',
  'scale',
  'pause',
  'cancel',
] as const;
interface Happening {
  what: (typeof happenings)[number];
  which: number;
}
const happening = fc.record({
  // Good things happen more often than bad ones.
  what: fc.constantFrom<Happening['what'][]>(...happenings, 'healthy', 'healthy', 'routed', 'routed', 'ended'),
  which: fc.nat(20),
});

const counts = fc.record({ web: fc.nat(5), worker: fc.nat(3) });
const setting = fc.record({
  strategy: fc.constantFrom('rolling' as const, 'recreate' as const),
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  first: fc.boolean(),
  newWorks: fc.boolean(),
  before: counts,
  after: counts,
  leftOver: fc.nat(3),
  happened: fc.array(happening, { maxLength: 40 }),
});
type Setting = typeof setting extends fc.Arbitrary<infer T> ? T : never;

function worldOf(given: Setting): World {
  const oldTargets: Record<string, number> = given.first ? {} : { ...given.before };
  const world = new World({
    ...{ strategy: given.strategy, maxInFlight: given.maxInFlight, from: given.first ? null : old, to: target },
    ...{ oldTargets, newTargets: { ...given.after } },
  });
  world.newWorks = given.newWorks;
  for (const [type, count] of Object.entries(oldTargets)) world.add(old, type, count);
  world.add(superseded, 'web', given.leftOver);
  return world;
}

/** Only what the world itself allows to happen to this instance. */
function happen(world: World, { what, which }: Happening): void {
  const pick = (able: (i: Inhabitant) => boolean): Inhabitant | undefined => {
    const list = world.instances.filter(able);
    return list[which % Math.max(1, list.length)];
  };
  const instance = pick((i) => !i.leaving);
  const mutable = world.input as { newTargets: Record<string, number>; oldTargets: Record<string, number> };
  switch (what) {
    case 'healthy': {
      const next = pick((i) => !i.leaving && i.state !== 'healthy');
      if (next) world.become(next);
      break;
    }
    case 'routed': {
      const next = pick((i) => !i.leaving && i.state === 'healthy' && i.ready && !i.routed);
      if (next) next.routed = true;
      break;
    }
    case 'crash':
      if (instance) world.crash(instance);
      break;
    case 'unready':
      if (instance) Object.assign(instance, { ready: false, routed: false });
      break;
    case 'vanish':
      world.instances = world.instances.filter((i) => i !== instance);
      break;
    case 'ended': {
      const gone = pick((i) => i.leaving);
      world.instances = world.instances.filter((i) => i !== gone);
      break;
    }
    case 'routers':
      world.routersInSight = !world.routersInSight;
      break;
    case 'scale':
      mutable.newTargets['web'] = which % 6;
      if (!world.input.from) break;
      mutable.oldTargets['web'] = which % 6;
      break;
    case 'pause':
      if (world.state === 'running') world.state = 'paused';
      else if (world.state === 'paused') world.state = 'running';
      break;
    case 'cancel':
      if (world.state === 'running' || world.state === 'paused') world.state = 'cancelling';
      break;
  }
}

const needed = (world: World, type: string): number => {
  const { newTargets, oldTargets } = world.input;
  const going = world.state === 'cancelling' || world.state === 'failing';
  return going ? (oldTargets[type] ?? 0) : Math.min(oldTargets[type] ?? 0, newTargets[type] ?? 0);
};

/** Looks once and checks what the look did. */
function lookAndCheck(world: World): void {
  // What leaves serves until a table without it is in force, and that one has everything that is up.
  const up = (type: string) => world.staying(type).filter(isUp);
  const before = new Map(types.map((type) => [type, up(type).length]));
  const oldBefore = up('web').filter((i) => !world.isNew(i)).length;
  const least = new Map(types.map((type) => [type, needed(world, type)]));
  const fresh = (type: string) => world.staying(type).filter((i) => world.isNew(i));
  const freshBefore = new Map(types.map((type) => [type, fresh(type).length]));
  const total = world.instances.length;
  const { wanted, state } = world.look();
  for (const entry of wanted) expect(entry.count).toBeGreaterThanOrEqual(0);
  if (world.input.strategy === 'rolling') {
    for (const type of types) {
      const floor = Math.min(least.get(type)!, before.get(type)!);
      expect(up(type).length, `${type} up after a look (${state})`).toBeGreaterThanOrEqual(floor);
      if (!world.input.from || state !== 'running') continue;
      const unproven = fresh(type).filter((i) => !(world.routersInSight && isUp(i) && i.routed)).length;
      const grew = fresh(type).length > freshBefore.get(type)!;
      if (grew) expect(unproven, `${type} in flight`).toBeLessThanOrEqual(world.input.maxInFlight);
    }
    if (!world.routersInSight && state === 'running') {
      const least = Math.min(oldBefore, needed(world, 'web'));
      expect(up('web').filter((i) => !world.isNew(i)).length, 'old ones without routers').toBeGreaterThanOrEqual(least);
    }
  } else if (state === 'running') {
    // Never two versions at once: new ones come when the last old one is gone.
    const grew = types.some((type) => fresh(type).length > freshBefore.get(type)!);
    const oldOnes = (type: string) => world.instances.some((i) => i.processType === type && !world.isNew(i));
    if (grew && types.every(oldOnes)) throw new Error('recreate started new instances beside old ones');
  } else if (state === 'paused' && types.some((type) => freshBefore.get(type)! > 0)) {
    const olds = world.staying('web').filter((i) => !world.isNew(i)).length;
    expect(olds, 'old ones beside new ones of recreate').toBeLessThanOrEqual(oldBefore);
  }
  // A second look at the same facts does nothing more.
  if (!world.over && world.instances.length === total) {
    const ids = world.instances.map((i) => `${i.id}${i.leaving}`);
    world.look();
    expect(world.instances.map((i) => `${i.id}${i.leaving}`)).toEqual(ids);
  }
}

function finish(world: World): void {
  for (let round = 0; !world.over; round++) {
    if (round > 100) throw new Error(`does not end: ${world.state}, ${JSON.stringify(world.instances)}`);
    if (world.state === 'paused') world.state = 'running';
    world.fairly();
    lookAndCheck(world);
  }
}

const formation = (world: World, batch: { release: number }): Record<string, number> =>
  Object.fromEntries(
    types.map((type) => [type, world.staying(type).filter((i) => i.release === batch.release).length]),
  );

describe('any rollout', () => {
  it('keeps what serves, ends, and leaves exactly one formation', () => {
    fc.assert(
      fc.property(setting, (given) => {
        const world = worldOf(given);
        lookAndCheck(world);
        for (const next of given.happened) {
          if (world.over) break;
          happen(world, next);
          lookAndCheck(world);
        }
        finish(world);
        const { newTargets, oldTargets, from } = world.input;
        const full = (targets: Readonly<Record<string, number>>) =>
          Object.fromEntries(types.map((type) => [type, targets[type] ?? 0]));
        expect(formation(world, superseded)).toEqual(full({}));
        if (world.state === 'succeeded') {
          expect(formation(world, target)).toEqual(full(newTargets));
          expect(formation(world, old)).toEqual(full({}));
        } else {
          expect(formation(world, target)).toEqual(full({}));
          expect(formation(world, old)).toEqual(full(from ? oldTargets : {}));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('of a release that never works fails and gives the old formation back', () => {
    fc.assert(
      fc.property(setting, (given) => {
        const world = worldOf({ ...given, newWorks: false, after: { web: Math.max(1, given.after.web), worker: 0 } });
        finish(world);
        expect(world.state).toBe('failed');
        expect(formation(world, old)).toEqual(given.first ? { web: 0, worker: 0 } : given.before);
      }),
    );
  });

  it('of a release that works succeeds', () => {
    fc.assert(
      fc.property(setting, (given) => {
        const world = worldOf({ ...given, newWorks: true });
        finish(world);
        expect(world.state).toBe('succeeded');
        expect(formation(world, target)).toEqual(given.after);
      }),
    );
  });
});
