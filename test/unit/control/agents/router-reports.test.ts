import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHandlers } from '../../../../src/control/agents/handlers.ts';
import type { HubHandlers } from '../../../../src/control/agents/hub.ts';
import { requestsOf } from '../../../../src/control/traffic/counts.ts';
import type { LogBlock, LogPosition } from '../../../../src/shared/contracts/agent.ts';
import { routerLogId } from '../../../../src/shared/router-log.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, facts, makeControl, type TestControl } from '../../../support/control.ts';
import { eventually } from '../../../support/eventually.ts';
import { word } from '../traffic/requests.ts';

let control: TestControl;
let handlers: HubHandlers;
let appId: string;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  appId = (await life.pushApp({ control, router: await addRouter(control) })).app_id;
  handlers = createHandlers(control);
  for (const hostId of ['h1', 'r']) await hello(hostId);
  await setImmediate();
  control.fakeHub.take();
});
afterEach(() => control.close());

const hello = (hostId: string) =>
  handlers.hello(hostId, {
    ...{ type: 'hello', protocol: 1, hostId, facts: facts(), generation: 0 },
    ...{ instances: [], stepResults: [], steps: [] },
  });
const say = async (hostId: string, ok: number): Promise<number> => {
  await handlers.message(hostId, { type: 'traffic', traffic: { epoch: 'a', counts: [word(1, { ok }, { appId })] } });
  return requestsOf(control.traffic.total(appId, 1));
};

describe('what a host says of requests', () => {
  it('is counted, if it has a router', async () => {
    await say('r', 5);
    expect(await say('r', 12)).toBe(7);
    await say('h1', 0);
    expect(await say('h1', 1000)).toBe(7);
  });
});

describe('what a host says of its router', () => {
  it('is taken up, if it has one: nobody else gives out addresses of apps', async () => {
    const status = { version: 1, driver: 'embedded', open: {}, problems: ['a lie'] };
    await handlers.message('h1', { type: 'router', status: { ...status, url: 'http://evil.test' } });
    expect(control.routing.statusOf('h1')).toBeUndefined();
    await handlers.message('r', { type: 'router', status: { ...status, url: 'http://127.0.0.1:8080' } });
    expect(control.routing.summary().url).toBe('http://127.0.0.1:8080');
  });
});

describe('access lines of a router', () => {
  const text = 'method=GET path=/ status=200\n';
  const send = (hostId: string, change: Partial<LogBlock> = {}): Promise<void> =>
    handlers.logs(
      hostId,
      {
        ...{ type: 'logs', instance: routerLogId('r', appId, 'f'), name: 'router', appId, processType: 'router' },
        ...{ release: null, source: 'router', stream: 'stdout', from: 0, to: text.length, partial: false },
        ...{ ts: '2026-01-01T00:00:00.000Z', dropped: { bytes: 0, lines: 0 } },
        ...change,
      },
      Buffer.from(text),
    );
  const acknowledged = (): LogPosition[] =>
    control.fakeHub.take().flatMap(({ message }) => (message.type === 'logsAck' ? message.positions : []));
  const stored = async (): Promise<string[]> => {
    const lines: string[] = [];
    for await (const batch of control.logs.query({ appId, source: 'router' }))
      for (const entry of batch) if ('line' in entry) lines.push(entry.line);
    return lines;
  };

  it('are stored and acknowledged, and the next link goes on from there', async () => {
    await send('r');
    await eventually(acknowledged).toMatchObject([{ offset: text.length }]);
    expect(await stored()).toEqual([text.trim()]);
    const [welcome] = await hello('r');
    expect(welcome).toMatchObject({
      logs: expect.arrayContaining([
        { instance: routerLogId('r', appId, 'f'), stream: 'stdout', offset: text.length },
      ]) as unknown,
    });
    expect((await hello('h1'))[0]).toMatchObject({
      logs: expect.not.arrayContaining([
        expect.objectContaining({ instance: routerLogId('r', appId, 'f') }),
      ]) as unknown,
    });
  });

  it('of another host, of an app that is gone, or under a wrong name are passed over, and acknowledged', async () => {
    for (const [hostId, change] of [
      ['h1', {}],
      ['h1', { instance: routerLogId('h1', appId, 'f') }],
      ['r', { appId: 'app_gone', instance: routerLogId('r', 'app_gone', 'f') }],
      ['r', { appId: 'app_gone' }],
      ['r', { source: 'app' }],
      ['r', { instance: 'ins_1' }],
    ] as const) {
      await send(hostId, change);
      await eventually(acknowledged).toHaveLength(1);
    }
    expect(await stored()).toEqual([]);
  });
});
