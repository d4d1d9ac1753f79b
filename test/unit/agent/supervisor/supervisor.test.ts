import { once } from 'node:events';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock, type Clock } from '../../../../src/agent/clock.ts';
import type { InstanceSpec } from '../../../../src/shared/contracts/instances.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { openHost, processesNaming, specOf, type TestHost } from '../../../support/instances.ts';
import { eventually } from '../../../support/eventually.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const node = process.execPath;
const server = (listen: string): string =>
  `require('http').createServer((q, r) => { r.statusCode = require('fs').existsSync('sick') ? 500 : 200; r.end('ok'); }).listen(${listen}, () => console.log('up', process.pid));`;
const web = (change: Partial<InstanceSpec> & { tree?: string }): InstanceSpec =>
  specOf({
    kind: 'web',
    command: `exec ${node} server.js`,
    health: { type: 'http', path: '/', timeoutMs: 10_000, intervalMs: 50 },
    ...change,
  });

const hosts: TestHost[] = [];
const open = async (options: Parameters<typeof openHost>[0] = {}): Promise<TestHost> => {
  const host = await openHost(options);
  hosts.push(host);
  return host;
};
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
});

const get = async (port: number): Promise<number> => {
  const request = http.get({ host: '127.0.0.1', port, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  return response.statusCode ?? 0;
};

describe.runIf(process.platform === 'linux')('supervisor', () => {
  it('starts a web app on a port of its own and stops it when it is no longer wanted', async () => {
    const host = await open();
    const spec = web({ tree: host.trees.add({ 'server.js': server('process.env.PORT') }) });
    host.supervisor.apply([spec]);
    const status = await host.until(spec.id, { state: 'healthy', ready: true });
    expect(status.port).toBeGreaterThanOrEqual(10_000);
    expect(status.port).toBeLessThan(32_768);
    expect(await get(status.port!)).toBe(200);
    host.supervisor.apply([]);
    expect((await host.until(spec.id, { state: 'stopped' })).exit?.reason).toBe('stopped');
    const directory = path.join(host.directory, 'instances', spec.id);
    expect(existsSync(path.join(directory, 'logs'))).toBe(true);
    host.supervisor.logsDone(spec.id);
    await eventually(() => existsSync(directory)).toBe(false);
    expect(host.supervisor.statuses()).toEqual([]);
  });

  it('does nothing when the same is applied again, and takes in place what needs no restart', async () => {
    const host = await open();
    const spec = web({ tree: host.trees.add({ 'server.js': server('process.env.PORT') }) });
    host.supervisor.apply([spec]);
    const before = await host.until(spec.id, { state: 'healthy' });
    host.supervisor.apply([structuredClone(spec)]);
    host.supervisor.apply([{ ...spec, graceMs: 1000, release: 2 }]);
    await host.until(spec.id, { state: 'healthy' });
    expect(host.status(spec.id)).toMatchObject({ restarts: 0, startedAt: before.startedAt });
    await eventually(() => host.output(spec.id).match(/up/g)).toHaveLength(1);
  });

  it('restarts in place for another token, on the same port', async () => {
    const host = await open();
    const spec = web({ tree: host.trees.add({ 'server.js': server('process.env.PORT') }) });
    host.supervisor.apply([spec]);
    const before = await host.until(spec.id, { state: 'healthy' });
    host.supervisor.apply([{ ...spec, restartToken: 'again' }]);
    const after = await host.until(spec.id, { state: 'healthy', restarts: 1 });
    expect(after.port).toBe(before.port);
    expect(after.exit?.reason).toBe('stopped');
    expect(host.trees.materialised).toBe(1);
  });

  it('restarts what crashes: three times at once, then with back-off, and says so', async () => {
    const waits: number[] = [];
    const begun = Date.now();
    const clock: Clock = {
      ...systemClock,
      // By a clock that stands still a wait is as long as it was meant to be.
      now: () => begun,
      async sleep(ms, signal) {
        if (ms > 3000 && ms < spec.graceMs) waits.push(Math.round(ms / 1000));
        await systemClock.sleep(ms > 3000 ? 600_000 : ms, signal);
      },
    };
    const spec = specOf({ command: 'echo once; exit 3' });
    const host = await open({ clock });
    host.supervisor.apply([spec]);
    const status = await host.until(spec.id, { state: 'crashed', restarts: 4 });
    await eventually(() => waits).toEqual([5]);
    expect(status.message).toContain('exited with code 3 (4 in a row, next start ');
    expect(host.output(spec.id)).toBe('once\n'.repeat(4));
    // A new spec is a new chance.
    host.supervisor.apply([{ ...spec, command: 'exec sleep 600' }]);
    await host.until(spec.id, { state: 'healthy' });
  });

  it.each([
    ['listens nowhere', 'setInterval(() => 0, 1000)', /^nothing listens on PORT \(\d+\) after 1 s$/],
    ['listens on another port', server('0'), /^listens on port \d+, but PORT is \d+ after 1 s$/],
    [
      'answers badly',
      `require('fs').writeFileSync('sick', ''); ${server('process.env.PORT')}`,
      /^GET \/ answers 500 after 1 s$/,
    ],
  ])('explains an app that %s', async (_what, source, message) => {
    const host = await open();
    const spec = web({ tree: host.trees.add({ 'server.js': source }) });
    host.supervisor.apply([{ ...spec, health: { ...spec.health, timeoutMs: 1200 } }]);
    // On a busy machine an app may need more time than that to come so far: it has another start.
    await eventually(() => host.status(spec.id).exit).toMatchObject({
      reason: 'startup-timeout',
      message: expect.stringMatching(message) as string,
    });
  });

  it('restarts what stops answering, after taking it out of service', async () => {
    const host = await open();
    const spec = web({ tree: host.trees.add({ 'server.js': server('process.env.PORT') }) });
    const seen: string[] = [];
    host.supervisor.onChange((changed) => seen.push(...changed.map(({ state, ready }) => `${state} ${ready}`)));
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'healthy' });
    const sick = path.join(host.directory, 'instances', spec.id, 'app', 'sick');
    writeFileSync(sick, '');
    await eventually(() => host.status(spec.id).exit?.reason).toBe('liveness');
    expect(seen).toContain('unhealthy false');
    expect(host.status(spec.id).exit?.message).toBe('3 probes failed: GET / answers 500');
  });

  it('takes another port when the first is taken by another process', async () => {
    const host = await open();
    let foreign: http.Server | null = null;
    const taken = path.join(host.directory, 'taken');
    const isTaken = `!fs.existsSync('${taken}') || fs.readFileSync('${taken}', 'utf8') === process.env.PORT`;
    const begin = `if (${isTaken}) setTimeout(begin, 20); else { ${server('process.env.PORT')} }`;
    const files = { 'server.js': `const fs = require('fs'); const begin = () => { ${begin} }; begin();` };
    const spec = web({ tree: host.trees.add(files) });
    const stop = host.supervisor.onChange((changed) => {
      const port = changed[0]?.port;
      if (foreign || port === null || port === undefined) return;
      foreign = http.createServer((_request, response) => response.end('foreign'));
      foreign.listen(port, '0.0.0.0', () => writeFileSync(taken, `${port}`));
    });
    host.supervisor.apply([spec]);
    const status = await host.until(spec.id, { state: 'healthy' });
    stop();
    const first = (foreign!.address() as net.AddressInfo).port;
    await new Promise((resolve) => foreign!.close(resolve));
    expect(status.port).not.toBe(first);
    expect(status.restarts).toBe(0);
  });

  it('takes a server that has cut all ties to its command for the instance’s own', async () => {
    const host = await open();
    const tree = host.trees.add({ 'server.js': server('process.env.PORT') });
    const spec = web({ tree, command: `(setsid ${node} server.js &); exec sleep 600` });
    host.supervisor.apply([spec]);
    await eventually(() => host.status(spec.id)).toMatchObject({ startedAt: expect.any(String) });
    const { startedAt } = host.status(spec.id);
    await host.until(spec.id, { state: 'healthy', startedAt });
  });

  it('takes up what runs after a restart of the agent, without restarting it', async () => {
    const host = await open();
    const specs = [
      web({ tree: host.trees.add({ 'server.js': server('process.env.PORT') }) }),
      specOf({ command: 'echo ready; exec sleep 600' }),
      specOf({ command: 'echo done; exit 4', restart: 'never' }),
    ];
    host.supervisor.apply(specs);
    await host.until(specs[0]!.id, { state: 'healthy' });
    await host.until(specs[1]!.id, { state: 'healthy' });
    await host.until(specs[2]!.id, { state: 'crashed' });
    const usageApart = (): unknown => host.supervisor.statuses().map((one) => ({ ...one, cpu: 0, memoryMb: 0 }));
    const before = usageApart();
    await host.reopen();
    expect(usageApart()).toEqual(before);
    host.supervisor.apply(specs);
    expect(usageApart()).toEqual(before);
    const up = (): string | undefined => /up (\d+)\n/.exec(host.output(specs[0]!.id))?.[1];
    await eventually(up).toBeDefined();
    process.kill(Number(up()), 'SIGKILL');
    await host.until(specs[0]!.id, { state: 'healthy', restarts: 1 });
    expect(host.status(specs[0]!.id).exit?.signal).toBe('SIGKILL');
  });

  it('sees what ended while no agent was there', async () => {
    const host = await open();
    const spec = specOf({ command: 'echo ready; while [ ! -e go ]; do sleep 0.05; done; exit 6', restart: 'never' });
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'healthy' });
    await host.supervisor.close();
    writeFileSync(path.join(host.directory, 'instances', spec.id, 'app', 'go'), '');
    await eventually(() => processesNaming(path.join(spec.id, 'run'))).toEqual([]);
    await host.reopen();
    expect((await host.until(spec.id, { state: 'crashed' })).exit).toMatchObject({ code: 6, reason: 'exited' });
  });

  it('goes on with a stop that an agent left unfinished, and with a restart', async () => {
    const host = await open();
    const stubborn = { command: 'trap "" TERM; echo ready; while :; do sleep 0.1; done', graceMs: 500 };
    const [leaving, restarting] = [specOf(stubborn), specOf(stubborn)];
    host.supervisor.apply([leaving, restarting]);
    for (const { id } of [leaving, restarting]) await host.until(id, { state: 'healthy' });
    const changed = { ...restarting, command: 'exec sleep 600' };
    host.supervisor.apply([changed]);
    await host.reopen();
    await host.until(leaving.id, { state: 'stopped' });
    await host.until(restarting.id, { state: 'healthy', restarts: 1 });
  });

  it('starts everything again after a reboot of the host', async () => {
    const host = await open();
    const [always, never] = [specOf(), specOf({ restart: 'never' })];
    host.supervisor.apply([always, never]);
    for (const { id } of [always, never]) await host.until(id, { state: 'healthy' });
    await host.supervisor.close();
    for (const { id } of [always, never]) {
      const directory = path.join(host.directory, 'instances', id);
      // All that ran is gone, and the boot id is another one.
      for (const name of ['keeper', 'app']) {
        process.kill(Number.parseInt(readFileSync(path.join(directory, 'run', name), 'utf8'), 10), 'SIGKILL');
      }
      const file = path.join(directory, 'record.json');
      const record: unknown = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify({ ...(record as object), bootId: 'an earlier boot' }));
    }
    await host.reopen();
    await host.until(always.id, { state: 'healthy' });
    expect(host.status(never.id)).toMatchObject({ state: 'crashed', exit: { message: 'the host was restarted' } });
  });

  it('puts a damaged record aside and makes the instance anew', async () => {
    const host = await open();
    const spec = specOf({ command: 'echo ready; exec sleep 600' });
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'healthy' });
    await host.supervisor.close();
    truncateSync(path.join(host.directory, 'instances', spec.id, 'record.json'), 100);
    await host.reopen();
    expect(host.supervisor.statuses()).toEqual([]);
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'healthy' });
    await eventually(() => host.output(spec.id)).toBe('ready\nready\n');
  });

  it('starts again what is wanted again while it stops', async () => {
    const host = await open();
    const spec = specOf({ command: 'echo ready; exec sleep 600' });
    host.supervisor.apply([spec]);
    await host.until(spec.id, { state: 'healthy' });
    host.supervisor.apply([]);
    await host.until(spec.id, { ready: false });
    host.supervisor.apply([spec]);
    await eventually(() => host.output(spec.id)).toBe('ready\nready\n');
    await host.until(spec.id, { state: 'healthy' });
  });

  it('says why an instance cannot be started, and tries again', async () => {
    const host = await open();
    const spec = specOf();
    const materialise = vi.spyOn(host.trees, 'materialise');
    materialise.mockImplementation(() => Promise.reject(new Error('the tree cannot be fetched')));
    host.supervisor.apply([spec]);
    const { exit } = await host.until(spec.id, { state: 'crashed' });
    expect(exit).toMatchObject({ reason: 'start-failed', message: 'the tree cannot be fetched' });
    materialise.mockRestore();
    host.supervisor.apply([{ ...spec, restartToken: 'now' }]);
    await host.until(spec.id, { state: 'healthy' });
  });

  it('waits for a control plane that is away for a moment, and reports no crash', async () => {
    const host = await open();
    const specs = [specOf(), specOf({ command: 'exit 0', restart: 'never' })];
    const materialise = vi.spyOn(host.trees, 'materialise');
    const away = (): Promise<void> => Promise.reject(new PaasError('unavailable', 'cannot reach the control plane'));
    for (let i = 0; i < 4; i++) materialise.mockImplementationOnce(away);
    const seen: string[] = [];
    host.supervisor.onChange((changed) =>
      seen.push(...changed.map(({ state, message, exit }) => `${state} ${message ?? ''}${exit?.reason ?? ''}`)),
    );
    host.supervisor.apply(specs);
    await host.until(specs[0]!.id, { state: 'healthy', restarts: 0 });
    await host.until(specs[1]!.id, { state: 'stopped' });
    expect(seen).toContain('pending cannot reach the control plane');
    expect(seen.filter((one) => /crashed|start-failed/.test(one))).toEqual([]);
  });
});
