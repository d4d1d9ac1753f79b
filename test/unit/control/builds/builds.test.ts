import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHandlers } from '../../../../src/control/agents/handlers.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { beginBuild, builds } from '../../../support/builds.ts';
import { addHost, facts, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
beforeEach(async () => {
  control = await makeControl();
  await addHost(control, 'h');
  await beginBuild(control);
});
afterEach(() => control.close());

const tree = 'c'.repeat(64);
/** The agent links again and says again what it has not seen acknowledged. */
const hello = async (id: string) => {
  control.fakeHub.links.delete('h');
  const messages = await createHandlers(control).hello('h', {
    ...{ type: 'hello', protocol: 1, hostId: 'h', facts: facts(), generation: 0, instances: [], steps: [] },
    stepResults: [{ id, ok: true, tree, durationMs: 1 }],
  });
  control.fakeHub.links.add('h');
  await setImmediate();
  return messages.map((message) => (message.type === 'stepAck' ? `stepAck ${message.id}` : message.type));
};

describe('a build whose output is damaged on the server', () => {
  it('begins again, and does not keep its host from linking', async () => {
    const { blobs } = control;
    blobs.assertComplete = () => Promise.reject(new PaasError('conflict', 'The tree is not complete'));
    expect(await hello('bld_1')).toEqual(expect.arrayContaining(['welcome', 'stepAck bld_1']));
    await expect.poll(async () => (await builds(control))[1]?.state).toBe('running');
    const again = (await builds(control))[1]!;
    expect(await builds(control)).toMatchObject([{ id: 'bld_1', state: 'failed' }, { host_id: 'h' }]);

    blobs.assertComplete = () => Promise.resolve({ files: 1, bytes: 1, depth: 0 });
    expect(await hello(again.id)).toContain(`stepAck ${again.id}`);
    expect(await builds(control)).toContainEqual(expect.objectContaining({ id: again.id, state: 'succeeded', tree }));
  });

  it('fails after a few times, and says why', async () => {
    control.blobs.assertComplete = () => Promise.reject(new PaasError('conflict', 'The tree is not complete'));
    for (let i = 0; i < 3; i++) {
      const running = async () => (await builds(control)).find(({ state }) => state === 'running');
      await expect.poll(running).toBeDefined();
      await hello((await running())!.id);
    }
    const all = await builds(control);
    expect(all.map(({ state }) => state)).toEqual(['failed', 'failed', 'failed']);
    expect(all.map(({ error }) => error).join('')).toMatch(/tried 3 times.*The tree is not complete/);
  });
});
