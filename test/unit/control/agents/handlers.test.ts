import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHandlers } from '../../../../src/control/agents/handlers.ts';
import type { HubHandlers } from '../../../../src/control/agents/hub.ts';
import type { LogBlock } from '../../../../src/shared/contracts/agent.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, facts, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let handlers: HubHandlers;
let appId: string;
let instance: string;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  appId = (await life.pushApp({ control, router: await addRouter(control) }, { config: { SECRET: 'x' } })).app_id;
  instance = (await control.store.db.selectFrom('instances').select('id').executeTakeFirstOrThrow()).id;
  handlers = createHandlers(control);
  control.fakeHub.take();
});
afterEach(() => control.close());

const hello = (hostId: string, change = {}) =>
  handlers.hello(hostId, {
    ...{ type: 'hello', protocol: 1, hostId, facts: facts({ address: '127.0.0.9' }), generation: 0 },
    ...{ instances: [], stepResults: [], steps: [] },
    ...change,
  });
const host = (id: string) =>
  control.store.db.selectFrom('hosts').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

describe('an agent that says hello', () => {
  it('gets its welcome and the whole of what it shall run', async () => {
    const [welcome, assignment, ...more] = await hello('h1');
    expect(welcome).toMatchObject({ type: 'welcome', heartbeatMs: control.settings.timing.heartbeat });
    expect(assignment).toMatchObject({
      type: 'assignment',
      assignment: {
        generation: (await host('h1')).generation,
        instances: [
          {
            ...{ id: instance, name: 'web.1', release: 1, restart: 'always', memoryMb: 512 },
            env: { SECRET: 'x', PAAS_INSTANCE: 'web.1' },
          },
        ],
      },
    });
    expect(more).toEqual([]);
    await setImmediate();
  });

  it('of a router gets the table, too', async () => {
    const messages = await hello('r');
    expect(messages.at(-1)).toEqual({ type: 'table', table: control.routing.table });
    await setImmediate();
  });

  it('makes its host ready, uses its token up, and is told again what changed meanwhile', async () => {
    await control.store.db
      .updateTable('hosts')
      .set({ state: 'unreachable', enrol_hash: 'x' })
      .where('id', '=', 'h1')
      .execute();
    await hello('h1');
    control.woken.length = 0;
    expect(await host('h1')).toMatchObject({ state: 'ready', address: '127.0.0.9', enrol_hash: null });
    expect((await control.events.list({})).at(-1)).toMatchObject({ kind: 'host.ready', message: 'name-h1 is back' });
    await setImmediate();
    expect(control.woken).toEqual(expect.arrayContaining(['assign:h1', 'hosts', 'routes', 'waiting']));
  });

  it('of a host that is lost stays lost, and has nothing to run', async () => {
    await control.store.db.updateTable('hosts').set({ state: 'lost' }).where('id', '=', 'h1').execute();
    await control.store.db.updateTable('instances').set({ ended_at: 1, state: 'lost' }).execute();
    const messages = await hello('h1');
    expect(await host('h1')).toMatchObject({ state: 'lost' });
    expect(messages).toContainEqual({
      type: 'assignment',
      assignment: expect.objectContaining({ instances: [] }) as object,
    });
    await setImmediate();
  });

  it('of a host that is not known is refused', async () => {
    await expect(hello('nobody')).rejects.toThrow('not known');
  });
});

describe('logs of an agent', () => {
  const block = (change: Partial<LogBlock> = {}): LogBlock => ({
    ...{
      type: 'logs',
      instance,
      name: 'web.1',
      appId,
      processType: 'web',
      release: 1,
      source: 'app',
      stream: 'stdout',
    },
    ...{ from: 0, to: 6, ts: '2026-01-01T00:00:00.000Z', partial: false, dropped: { bytes: 0, lines: 0 } },
    ...change,
  });
  const acknowledged = async () => {
    await expect.poll(() => control.fakeHub.sent.some(({ message }) => message.type === 'logsAck')).toBe(true);
    return control.fakeHub.take().flatMap(({ message }) => (message.type === 'logsAck' ? message.positions : []));
  };
  const stored = async () => {
    const lines: string[] = [];
    for await (const batch of control.logs.query({ appId }))
      for (const entry of batch) if ('line' in entry && entry.source === 'app') lines.push(entry.line);
    return lines;
  };

  it('are stored, then acknowledged', async () => {
    await handlers.logs('h1', block(), Buffer.from('hello\n'));
    expect(await acknowledged()).toEqual([{ instance, stream: 'stdout', offset: 6 }]);
    expect(await stored()).toEqual(['hello']);
  });

  it.each([
    ['of an instance on another host', 'r', {}],
    ['of an instance that is not known', 'h1', { instance: 'ins_unknown' }],
    ['in the name of another app', 'h1', { appId: 'app_other' }],
  ])('%s are acknowledged, so that they end there, and not stored', async (_, from, change) => {
    await handlers.logs(from, block(change), Buffer.from('forged\n'));
    expect(await acknowledged()).toHaveLength(1);
    expect(await stored()).toEqual([]);
  });
});
