import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../../src/shared/contracts/api.ts';
import { startPlatform } from '../client/platform.ts';
import { ended, harness, shop } from './support.ts';

const cli = harness();

describe('paas rollout --watch', () => {
  const rollout = {
    ...{ id: 'rol_1', state: 'failed', strategy: 'rolling', maxInFlight: 1, canary: null, from: 1, to: 2 },
    ...{ startedAt: '2026-11-21T10:00:00.000Z', waitsFor: '', processes: {} },
    ...{ error: 'No host has room for web.2.', errorCode: 'no_capacity' },
  };

  it('ends as the push does, with one document of JSON', async () => {
    cli.api({ [`GET ${shop}/rollout`]: { rollout, deployment: null }, [`GET ${shop}/instances`]: [] });
    const { code, json } = await cli.paas(['rollout', '--watch', '-a', 'shop', '--json']);
    expect({ code, json: json() }).toMatchObject({
      code: 7,
      json: { error: { code: 'no_capacity', message: 'No host has room for web.2.', details: { rollout } } },
    });
    const plain = await cli.paas(['rollout', '--watch', '-a', 'shop']);
    expect(plain).toMatchObject({ code: 7, stdout: expect.stringContaining('rol_1') as string });
  });

  it('waits for a push that is built still, whatever the rollout before it came to, and tells why it failed', async () => {
    const push = {
      id: 'dep_2',
      kind: 'push',
      release: null,
      rollout: null,
      createdAt: rollout.startedAt,
      finishedAt: null,
    };
    const building = { rollout: null, deployment: { ...push, state: 'building', error: null } };
    const error = { code: 'build_failed', message: 'npm ci ended with 1.', hint: 'Read it.', details: {} };
    const failed = { ...push, state: 'failed', finishedAt: rollout.startedAt, error };
    let asked = 0;
    cli.api({
      [`GET ${shop}/rollout`]: () => (++asked < 3 ? building : { rollout, deployment: failed }),
      [`GET ${shop}/instances`]: [],
    });
    const { code, stdout, stderr } = await cli.paas(['rollout', '--watch', '-a', 'shop']);
    expect(code).toBe(8);
    expect(stdout).toMatch(/Push +dep_2\nState +building\n.*Waits for +its build\n/s);
    expect(stdout).toMatch(/Failed +npm ci ended with 1/);
    expect(stderr).toContain('npm ci ended with 1.');
  });

  const scale = (more: Partial<Deployment> = {}) => ended({ id: 'dep_2', kind: 'scale', ...more });
  /** What the platform answers about it, one look after the other; the last one stays. */
  const looks = (...answers: object[]): void =>
    cli.api({
      [`GET ${shop}/rollout`]: () => (answers.length > 1 ? answers.shift()! : answers[0]!),
      [`GET ${shop}/instances`]: [],
    });
  const running = { ...rollout, state: 'running', error: null, errorCode: null };
  const unhealthy = { ...rollout, error: 'web.1 exited.', errorCode: 'unhealthy' };
  const watch = () => cli.paas(['rollout', '--watch', '-a', 'shop']);

  it('fails as the rollout did, also when somebody scaled meanwhile', async () => {
    looks({ rollout: unhealthy, deployment: scale() });
    expect(await watch()).toMatchObject({ code: 8, stderr: expect.stringContaining('web.1 exited.') as string });
    looks({ rollout: running, deployment: scale() }, { rollout: unhealthy, deployment: scale() });
    expect((await watch()).code).toBe(8);
    // A push of what runs has nothing to roll out; the one that was watched failed all the same.
    looks({ rollout: running, deployment: null }, { rollout: unhealthy, deployment: scale({ kind: 'push' }) });
    expect((await watch()).code).toBe(8);
  });

  it('ends as what it waited for, whatever the rollout before it came to', async () => {
    const unfinished = scale({ state: 'rolling', finishedAt: null });
    looks({ rollout: unhealthy, deployment: unfinished }, { rollout: unhealthy, deployment: scale() });
    expect((await watch()).code).toBe(0);
    looks({ rollout: unhealthy, deployment: scale({ kind: 'push' }) });
    expect((await watch()).code).toBe(0);
  });

  it('goes on when the platform is restarted meanwhile', async () => {
    const { port, server } = cli.platform;
    // No connection is kept that could be found broken first.
    server.maxRequestsPerSocket = 1;
    looks({ rollout: running, deployment: null });
    const watched = watch();
    await expect.poll(() => cli.platform.seen).toHaveLength(2);
    await sleep(100);
    await cli.platform.stop();
    await sleep(800);
    cli.platform = await startPlatform(() => undefined, port);
    looks({ rollout: { ...running, state: 'succeeded' }, deployment: null });
    expect((await watched).code).toBe(0);
  });

  it('says on Ctrl-C what goes on, and names a way back of that alone', async () => {
    const interrupted = (answer: object) => {
      let asked = 0;
      cli.api({
        [`GET ${shop}/rollout`]: () => (asked++ === 0 || process.emit('SIGINT'), answer),
        [`GET ${shop}/instances`]: [],
      });
      return watch();
    };
    const pushed = await interrupted({ rollout: running, deployment: null });
    expect(pushed).toMatchObject({ code: 130, stderr: expect.stringContaining('rollout cancel -a shop') as string });
    const scaled = await interrupted({ rollout: null, deployment: scale({ state: 'rolling', finishedAt: null }) });
    expect(scaled).toMatchObject({ code: 130, stderr: expect.stringContaining('paas scale -a shop') as string });
    expect(scaled.stderr).not.toContain('rollout cancel');
  });
});
