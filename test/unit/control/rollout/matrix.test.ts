/** Every state of the rollout machine, every command: what a person in an incident sees of it (docs/rollouts.md). */
import { afterEach, describe, expect, it } from 'vitest';
import { appUrl, type Answer } from '../../../support/api.ts';
import { whileRouting } from '../../../support/control.ts';
import { Matrix, pushBody, states, type State } from './matrix-world.ts';

let m: Matrix;
afterEach(() => m.control.close());

const deploying: readonly State[] = states.filter((state) => state !== 'steady' && state !== 'stopped');
const rolling: readonly State[] = ['rolling', 'paused', 'canary-timed', 'canary-manual', 'recreate'];
const goingBack: readonly State[] = ['cancelling', 'failing'];
const before: readonly State[] = ['building', 'queued', 'releasing'];
/** Instances that may be missing on the way. */
const least = (state: State): number => (state === 'recreate' || state === 'stopped' ? 0 : 4);

const ok = (answer: Answer): void => expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
const refused = (answer: Answer, code: string): void => {
  expect(answer.code).toBe(code);
  expect((answer.body as { error: { hint: string } }).error.hint).not.toBe('');
};
const scale = (body: object) => m.api.call('PATCH', `${appUrl}/formation`, { body: { processes: { web: body } } });
const set = (more = {}) => m.api.call('PATCH', `${appUrl}/config`, { body: { set: { NEW: '1' }, unset: [], ...more } });

/** Lets it all come to its end: paused ones go on, canaries are told to. */
async function finish(state: State, floor = least(state)): Promise<void> {
  await m.unblock();
  m.broken.clear();
  for (let i = 0; i < 8; i++) {
    const row = await m.rollout();
    if (row && (row.state === 'paused' || row.canary !== null)) await m.post('/rollout/continue');
    for (let j = 0; j < 6; j++) {
      await m.round();
      expect(await m.served(), (await m.facts()).join('; ')).toBeGreaterThanOrEqual(floor);
    }
    if ((await m.open()).length === 0) break;
  }
  await m.settle(floor);
  m.control.errors.forEach((error) => {
    throw error as Error;
  });
}

/** What runs when everything that was under way has ended. */
const runs = async (): Promise<string[]> => m.formation();
const ended = async (): Promise<number> => {
  const app = await m.appIfAny();
  return app?.release ?? 0;
};

describe.each(states)('%s:', (state) => {
  it('scale to more takes effect on old and new, whatever comes of the rollout', async () => {
    m = await Matrix.in(state);
    ok(await scale({ instances: 6 }));
    if (rolling.includes(state) && state !== 'recreate') await m.until(async () => (await m.served()) >= 6);
    await finish(state);
    const total = (await runs()).map((line) => Number(line.split(' ')[0])).reduce((a, b) => a + b, 0);
    expect(total).toBe(state === 'stopped' ? 0 : 6);
  });

  it('scale to none ends in none', async () => {
    m = await Matrix.in(state);
    ok(await scale({ instances: 0 }));
    await finish(state, 0);
    expect(await runs()).toEqual([]);
  });

  it('scale of memory holds for old and new', async () => {
    m = await Matrix.in(state);
    ok(await scale({ memoryMb: 1024 }));
    await finish(state);
    // A push that had not begun to roll out has a size of its own in its manifest, which is newer.
    const size = before.includes(state) ? '256M' : '1024M';
    for (const line of await runs()) expect(line).toContain(state === 'queued' ? 'M' : size);
    if (state !== 'stopped') expect(await runs()).not.toEqual([]);
  });

  it('config set reaches what comes out', async () => {
    m = await Matrix.in(state);
    const answer = await set();
    ok(answer);
    if (before.includes(state)) expect((await m.active())?.kind).toBe('config');
    await finish(state);
    const { config } = await m.kept();
    expect(config['NEW']).toBe('1');
    // The new release where one was coming, with the change; else the old one with it.
    const text = goingBack.includes(state) || state === 'steady' || state === 'stopped' ? 'one' : 'two';
    expect(config['TEXT']).toBe(state === 'queued' ? 'three' : text);
    expect((await m.appIfAny())?.state).toBe(state === 'stopped' ? 'stopped' : 'active');
    expect(await runs()).toHaveLength(state === 'stopped' ? 0 : 1);
  });

  it('config set --no-restart rolls nothing out, and is there however the rollout ends', async () => {
    m = await Matrix.in(state);
    const answer = await set({ restart: false });
    ok(answer);
    expect(answer.body['deployment']).toBeNull();
    await m.post('/rollout/cancel');
    await finish(state);
    expect((await m.kept()).config).toMatchObject({ NEW: '1' });
    if (state !== 'queued') expect((await m.kept()).config['TEXT']).toBe('one');
  });

  it('restart replaces all that run by fresh ones', async () => {
    m = await Matrix.in(state);
    const old = new Set((await m.running()).map(({ id }) => id));
    ok(await m.post('/restart'));
    await finish(state);
    for (const { id } of await m.running()) expect(old.has(id)).toBe(false);
    expect((await m.running()).length).toBe(4);
  });

  it('restart of one instance replaces that one', async () => {
    m = await Matrix.in(state);
    const [one] = (await m.running()).filter((r) => r.process_type === 'web' && r.desired === 'run');
    const answer = await m.post('/restart', { instance: `web.${one?.ordinal ?? 1}` });
    if (!one) {
      refused(answer, 'not_found');
      return;
    }
    ok(answer);
    await finish(state);
    expect((await m.running()).map(({ id }) => id)).not.toContain(one.id);
  });

  it('stop ends everything; start brings back the release in force', async () => {
    m = await Matrix.in(state);
    const release = await ended();
    ok(await m.post('/stop'));
    expect(await m.active()).toBeUndefined();
    await m.unblock();
    await m.settle();
    expect(await runs()).toEqual([]);
    ok(await m.post('/start'));
    await m.settle();
    expect(await runs()).toEqual([`4 of v${release} (512M)`]);
  });

  it('another push takes its place', async () => {
    m = await Matrix.in(state);
    ok(await m.post('/pushes', await pushBody(m.control, 'four')));
    expect((await m.open()).filter(({ kind }) => kind === 'push')).toHaveLength(1);
    await finish(state);
    expect((await m.kept()).config['TEXT']).toBe('four');
    expect(await runs()).toHaveLength(1);
    expect((await runs())[0]).toMatch(/^4 of v\d+ \(512M\)$/);
  });

  it('a push of what is in force goes back to it', async () => {
    m = await Matrix.in(state);
    ok(await m.post('/pushes', await pushBody(m.control, 'one')));
    await finish(state);
    expect((await m.kept()).config['TEXT']).toBe('one');
    expect(await runs()).toEqual(['4 of v1 (512M)']);
  });

  it('rollback to the release in force goes back to it', async () => {
    m = await Matrix.in(state);
    const answer = await m.post('/rollback', { to: 1 });
    ok(answer);
    await finish(state);
    expect(await runs()).toEqual(state === 'stopped' ? [] : ['4 of v1 (512M)']);
    expect(await ended()).toBe(1);
  });

  it('rollback without a release cancels what is being rolled out', async () => {
    m = await Matrix.in(state);
    const answer = await m.post('/rollback');
    // v1 is the first release: nothing was before it.
    if (!rolling.includes(state) && !goingBack.includes(state)) {
      refused(answer, 'conflict');
      return;
    }
    ok(answer);
    await finish(state);
    expect(await runs()).toEqual(['4 of v1 (512M)']);
  });

  it('cancel gives back exactly what was', async () => {
    const steady = await Matrix.in('steady');
    const was = await steady.kept();
    await steady.control.close();
    m = await Matrix.in(state);
    const answer = await m.post('/rollout/cancel');
    if (!deploying.includes(state)) {
      refused(answer, 'conflict');
      return;
    }
    ok(answer);
    if (state === 'queued') expect((await m.open()).map(({ state }) => state)).toEqual(['queued']);
    await finish(state);
    if (state !== 'queued') expect(await m.kept()).toEqual(was);
    else expect((await m.kept()).config['TEXT']).toBe('three');
  });

  it('pause and continue', async () => {
    m = await Matrix.in(state);
    const paused = await m.post('/rollout/pause');
    if (!rolling.includes(state)) {
      refused(paused, 'conflict');
      refused(await m.post('/rollout/continue'), 'conflict');
      return;
    }
    ok(paused);
    const release = await ended();
    for (let i = 0; i < 4; i++) await m.round();
    expect(await ended()).toBe(release);
    expect((await m.rollout())?.state).toBe('paused');
    ok(await m.post('/rollout/continue'));
    await finish(state);
    expect(await runs()).toEqual(['4 of v2 (256M)']);
  });

  it('destroy wins over everything', async () => {
    m = await Matrix.in(state);
    ok(await m.api.call('DELETE', appUrl));
    await m.until(async () => (await m.appIfAny()) === undefined);
    expect(await m.running()).toEqual([]);
    expect(await m.open()).toEqual([]);
    expect(await m.rollout()).toBeUndefined();
  });

  it('gray rules are for other releases than the one that is rolled out', async () => {
    m = await Matrix.in(state);
    const answer = await m.post('/gray', { release: 2, match: 'percent:5' });
    const exists = await m.control.store.db.selectFrom('releases').selectAll().where('version', '=', 2).execute();
    if (exists.length === 0) {
      refused(answer, 'not_found');
      return;
    }
    // It is made when its release command runs, and is the rollout's matter from then on.
    expect(state === 'releasing' || rolling.includes(state) || goingBack.includes(state)).toBe(true);
    refused(answer, 'conflict');
    await finish(state);
    expect(await runs()).toEqual([goingBack.includes(state) ? '4 of v1 (512M)' : '4 of v2 (256M)']);
  });

  it('a gray rule for the release in force holds however the rollout ends', async () => {
    m = await Matrix.in(state);
    ok(await m.post('/gray', { release: 1, match: 'cookie:legacy=1' }));
    await finish(state);
    const all = await runs();
    const release = await ended();
    const beside = all.filter((line) => line.includes('of v1 '));
    if (state === 'stopped') expect(all).toEqual([]);
    else expect(beside).toEqual([release === 1 ? '4 of v1 (512M)' : expect.stringMatching(/^1 of v1/)]);
    if (release !== 1) expect(all).toContainEqual(expect.stringMatching(new RegExp(`^4 of v${release} `)));
  });

  it('a gray rule for the release in force is no hindrance to cancelling', async () => {
    m = await Matrix.in(state);
    if (!deploying.includes(state) || state === 'queued') return;
    ok(await m.post('/gray', { release: 1, match: 'cookie:legacy=1' }));
    if (!goingBack.includes(state)) await m.round();
    ok(await m.post('/rollout/cancel'));
    await finish(state);
    expect(await runs()).toEqual(['4 of v1 (512M)']);
  });

  it('a route that somebody adds stays, one that somebody removes is gone', async () => {
    m = await Matrix.in(state);
    const removed = { body: { route: 'shop.localhost' } };
    ok(await whileRouting(m.control, m.router, m.post('/routes', { route: 'two.example.com' })));
    ok(await whileRouting(m.control, m.router, m.api.call('DELETE', `${appUrl}/routes`, removed)));
    await m.post('/rollout/cancel');
    await finish(state, 0);
    const { routes } = await m.kept();
    expect(routes).toContain('two.example.com');
    expect(routes).not.toContain('shop.localhost');
  });

  it('a host that is drained is left without a gap', async () => {
    m = await Matrix.in(state);
    ok(await m.api.call('POST', '/v1/hosts/name-h1/drain', { body: {} }));
    const floor = state === 'releasing' || before.includes(state) ? 4 : least(state);
    await m.control.store.db
      .updateTable('hosts')
      .set({ roles: '["compute","build"]' })
      .where('id', '=', 'h2')
      .execute();
    await finish(state, floor);
    for (const { host_id: host } of await m.running()) expect(host).toBe('h2');
  });
});
