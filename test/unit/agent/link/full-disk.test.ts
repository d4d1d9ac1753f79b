import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AgentProcess, workerSpec } from '../../../support/running-agent.ts';
import { FakeControl } from '../../../support/fake-control.ts';
import { requireOrSkip } from '../../../support/skip.ts';
import { mountSmallDisk, type SmallDisk } from '../../../support/small-disk.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let control: FakeControl;
let agent: AgentProcess;
let disk: SmallDisk | undefined;
beforeEach(async (context) => {
  control = await new FakeControl().start();
  agent = await AgentProcess.create({ controlUrl: control.url });
  disk = mountSmallDisk(agent.data, 32, '711');
  requireOrSkip(context, disk !== undefined, 'a small disk of its own (needs the right to mount)');
});
afterEach(async () => {
  disk?.empty();
  await agent.destroy(() => disk?.remove());
  await control.stop();
});

const quiet = (id: string) => workerSpec(control, id, { command: 'exec sleep 1000' });
const reported = (generation: number) =>
  control.until(
    () => control.messages.some((message) => message.type === 'report' && message.generation === generation),
    `generation ${generation}`,
  );

describe('a host whose disk is full', () => {
  it('ends what is not wanted any more, and does the rest as soon as there is space', async () => {
    agent.start();
    await control.untilLinked();
    control.assign([quiet('ins_a'), quiet('ins_b')]);
    const before = await control.healthy('ins_a');
    await control.healthy('ins_b');
    // Each time what goes gives some space back.
    disk?.fill(0);
    control.assign([quiet('ins_a'), quiet('ins_c')]);
    await control.until(() => control.status('ins_b')?.state === 'stopped', 'the end of what is not wanted');
    expect(agent.log).toContain('cannot be stored');
    disk?.empty();
    await control.healthy('ins_c');
    await reported(2);
    await control.until(() => !existsSync(join(agent.data, 'instances', 'ins_b')), 'its files to go');
    expect(control.status('ins_a')).toMatchObject({ restarts: 0, startedAt: before.startedAt });
  });

  it('answers a step with just that', async () => {
    agent.start();
    await control.untilLinked();
    disk?.fill(0);
    control.send({
      type: 'step',
      step: {
        id: 'bld_1',
        kind: 'build',
        app: { id: 'app_1', name: 'shop', project: 'default', environment: 'dev' },
        source: control.trees.addTree({ 'main.txt': 'source' }),
        base: { name: 'host', digest: '0'.repeat(64) },
        commands: [],
        files: {},
        needs: [],
        sharedCaches: {},
        memoryMb: 512,
        timeoutMs: 60_000,
      },
    });
    expect(await control.result('bld_1')).toMatchObject({ ok: false, error: { code: 'disk_full' } });
  });
});
