import { afterEach, beforeEach, expect, it } from 'vitest';
import { EventParser, type ServerEvent } from '../../../../src/cli/client/sse.ts';
import { appUrl, TestApi } from '../../../support/api.ts';
import { makeControl, type TestControl } from '../../../support/control.ts';
import { sender } from '../../../support/log-store.ts';
import { appRow, deploymentRow } from '../../../support/rows.ts';

let control: TestControl;
let api: TestApi;
beforeEach(async () => {
  control = await makeControl();
  api = await TestApi.of(control);
  const { db } = control.store;
  await db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop' }))
    .execute();
  await db
    .insertInto('deployments')
    .values(deploymentRow('dep_1', { build_id: 'bld_1' }))
    .execute();
});
afterEach(() => control.close());

const build = { instance: 'bld_1', name: 'build', processType: 'build', source: 'build' } as const;
const happen = (message: string) =>
  control.events.record({
    app: { id: 'app_1', name: 'shop' },
    deployment: 'dep_1',
    kind: 'build.started',
    actor: 'x',
    message,
  });
const finish = () =>
  control.store.db.updateTable('deployments').set({ state: 'succeeded', finished_at: 2000 }).execute();

/** The stream to its end. */
async function stream(lastId?: string): Promise<ServerEvent[]> {
  const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId };
  const { method, url, ...sent } = api.request('GET', `${appUrl}/deployments/dep_1/stream`, { headers });
  const { body } = await api.server.inject({ method: 'GET', url, headers: sent.headers });
  return new EventParser().push(Buffer.from(body));
}
const said = (events: ServerEvent[]): string[] =>
  events.map(({ event, data }) => (event === 'end' ? 'end' : (JSON.parse(data) as { message: string }).message));

it('a client that was cut off anywhere gets what happened and what was built from there on, each line once', async () => {
  await happen('the build begins');
  const watching = stream();
  const { send } = sender(() => control.logs, build);
  await send('one\ntwo\n');
  await send('three\n', { at: 1 });
  await happen('the build is done');
  await send('four\n', { at: 2 });
  await finish();
  const events = await watching;
  const all = said(events);
  expect(all.at(-1)).toBe('end');
  expect(all.toSorted()).toEqual(['end', 'four', 'one', 'the build begins', 'the build is done', 'three', 'two']);
  for (const [i, { id }] of events.slice(0, -1).entries())
    expect(said(await stream(id)).toSorted()).toEqual(all.slice(i + 1).toSorted());
});

it('a client of an earlier version goes on with the events after its id', async () => {
  await happen('the build begins');
  const [first] = await control.events.list({ deploymentId: 'dep_1', limit: 1 });
  await happen('the build is done');
  await sender(() => control.logs, build).send('one\n');
  await finish();
  expect(said(await stream(String(first!.seq)))).toEqual(['the build is done', 'one', 'end']);
});
