import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RouterStatus } from '../../../../src/shared/contracts/routes.ts';
import { lockHolder } from '../../../../src/shared/lock-file.ts';
import { sendSignal } from '../../../../src/shared/processes.ts';
import { AgentProcess } from '../../../support/running-agent.ts';
import { FakeControl } from '../../../support/fake-control.ts';
import { fetchText } from '../../../support/wire.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let control: FakeControl;
let agent: AgentProcess;
beforeEach(async () => {
  control = await new FakeControl().start();
  agent = await AgentProcess.create({
    controlUrl: control.url,
    roles: ['router'],
    router: { driver: 'embedded', address: '127.0.0.1', port: 0 },
  });
  agent.start();
  await control.untilLinked();
});
afterEach(async () => {
  await agent.destroy();
  await control.stop();
});

const last = (): RouterStatus | undefined => {
  const found = control.messages.findLast((message) => message.type === 'router');
  return found?.type === 'router' ? found.status : undefined;
};
const table = (version: number) => ({
  version,
  http: [{ host: 'shop.localhost', path: '/', backend: 'b' }],
  tcp: [],
  backends: { b: { app: 'default/dev/shop', appId: 'app_1', state: 'stopped' as const, endpoints: [] } },
});
const inForce = async (version: number) =>
  control.until(() => last()?.version === version && last(), `table ${version}`);
const pid = () => lockHolder(lockFile())!.pid;
const lockFile = () => join(agent.data, 'router', 'router.lock');
const ask = async (url: string) => (await fetchText(url, { headers: { host: 'shop.localhost' } })).status;

describe('a host with the role router', () => {
  it('starts the router, applies tables and says which is in force', async () => {
    control.send({ type: 'table', table: table(1) });
    const { url } = await inForce(1);
    expect(await ask(url)).toBe(503);
    control.send({ type: 'table', table: table(2) });
    await inForce(2);
  });

  it('starts it again when it dies, with the same table and address', async () => {
    control.send({ type: 'table', table: table(3) });
    const { url } = await inForce(3);
    const before = pid();
    sendSignal(before, 'SIGKILL');
    await control.until(() => (lockHolder(lockFile())?.pid ?? before) !== before, 'another router');
    await expect.poll(() => ask(url).catch(() => 0)).toBe(503);
  });

  it('leaves it alone when the agent dies, and takes it up again', async () => {
    control.send({ type: 'table', table: table(4) });
    const { url } = await inForce(4);
    const before = pid();
    await agent.end('SIGKILL');
    expect(await ask(url)).toBe(503);
    control.messages.length = 0;
    agent.start();
    await inForce(4);
    expect(pid()).toBe(before);
    await agent.end('SIGTERM');
    expect(await ask(url)).toBe(503);
  });

  it('keeps the table that it has when a new one contradicts itself', async () => {
    control.send({ type: 'table', table: table(5) });
    await inForce(5);
    control.send({ type: 'table', table: { ...table(6), backends: {} } });
    await control.until(() => agent.log.includes('the router refuses a table'), 'a refusal');
    control.send({ type: 'table', table: table(7) });
    await inForce(7);
    // Not even for a moment was the router taken for one that does not run.
    const lines = readFileSync(join(agent.root, 'agent.log'), 'utf8').split('\n');
    expect(lines.filter((line) => line.includes('does not answer') && line.includes('bad_request'))).toEqual([]);
  });
});
