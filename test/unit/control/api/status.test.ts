import { afterEach, beforeEach, expect, it } from 'vitest';
import { createHandlers } from '../../../../src/control/agents/handlers.ts';
import { TestApi } from '../../../support/api.ts';
import { addHost, facts, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let api: TestApi;
beforeEach(async () => {
  control = await makeControl();
  api = await TestApi.of(control);
});
afterEach(() => control.close());

const warnings = async () => (await api.get('/v1/status')).body['warnings'] as string[];

it('warns of a host whose disk fills while its agent is linked, and no more when there is space again', async () => {
  await addHost(control, 'h1', { name: 'host-1' });
  const handlers = createHandlers(control);
  const disk = (freeMb: number) =>
    handlers.message('h1', {
      ...{ type: 'report', generation: 0, instances: [], full: true },
      disk: { totalMb: 10_000, freeMb },
    });
  expect(await warnings()).toEqual([]);
  await disk(200);
  expect(await warnings()).toEqual(['host-1 has only 200 MiB of disk left']);
  await disk(5000);
  expect(await warnings()).toEqual([]);
});

it('warns of a host whose disk was full before this server came', async () => {
  await addHost(control, 'h1', {
    name: 'host-1',
    facts: JSON.stringify(facts({ disk: { totalMb: 10_000, freeMb: 3 } })),
  });
  expect(await warnings()).toEqual(['host-1 has only 3 MiB of disk left']);
});
