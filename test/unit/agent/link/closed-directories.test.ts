import { chownSync, existsSync, mkdirSync, chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AgentProcess, workerSpec } from '../../../support/running-agent.ts';
import { FakeControl } from '../../../support/fake-control.ts';
import { requireOrSkip } from '../../../support/skip.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let control: FakeControl;
let agent: AgentProcess;
beforeEach(async () => {
  control = await new FakeControl().start();
  agent = await AgentProcess.create({ controlUrl: control.url });
  agent.asNobody();
  agent.start();
  await control.untilLinked();
});
afterEach(async () => {
  await agent.destroy();
  await control.stop();
});

/** As `go build` leaves its module cache. */
const close = 'mkdir -p r/deep; touch r/deep/x; chmod 555 r/deep r';
const gone = (kind: 'builds' | 'instances', id: string) =>
  control.until(() => !existsSync(join(agent.data, kind, id)), `${id} to be removed`);

describe('directories that an app has closed, on a host whose agent is not root', () => {
  it('are removed after a build', async () => {
    const command = { name: 'close', run: `cd "$HOME" && ${close}; cd "$TMPDIR" && ${close}`, env: {} };
    control.send({
      type: 'step',
      step: {
        ...{ kind: 'build', id: 'bld_1', app: { id: 'app_1', name: 'shop', project: 'default', environment: 'dev' } },
        ...{ source: control.trees.addTree({ 'main.txt': 'source' }), base: { name: 'host', digest: '0'.repeat(64) } },
        ...{ needs: [], commands: [command], files: {}, sharedCaches: {}, memoryMb: 512, timeoutMs: 30_000 },
      },
    });
    expect(await control.result('bld_1')).toMatchObject({ ok: true });
    await gone('builds', 'bld_1');
  });

  it('are removed after a command in a fresh surrounding, whose exit code counts', async () => {
    const target = { run: workerSpec(control, 'ins_run', { restart: 'never' }) };
    control.send({ type: 'sessionOpen', session: 's1', target, argv: ['sh', '-c', `${close}; exit 3`] });
    const exit = () => control.messages.find((message) => message.type === 'sessionExit');
    expect(await control.until(exit, 'its exit')).toEqual({ type: 'sessionExit', session: 's1', code: 3 });
    await gone('instances', 'ins_run');
  });

  it('are removed with an instance', async () => {
    control.assign([workerSpec(control, 'ins_a', { command: `${close}; echo closed; exec sleep 600` })]);
    await control.until(() => control.output('ins_a').includes('closed'), 'its output');
    control.assign([]);
    await gone('instances', 'ins_a');
  });

  it('are removed by the next agent, which starts even where it may not', async (context) => {
    requireOrSkip(context, process.getuid?.() === 0, 'a directory of another user needs root');
    await agent.end('SIGKILL');
    for (const place of ['builds/bld_own', 'builds/bld_foreign', 'instances/ins_own', 'instances/ins_foreign']) {
      const directory = join(agent.data, place, 'closed');
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'file'), '');
      chmodSync(directory, 0o555);
      if (place.endsWith('own')) for (const path of [directory, join(directory, '..')]) chownSync(path, 65_534, 65_534);
    }
    agent.start();
    await control.until(() => control.connections === 2, 'the second link');
    await gone('builds', 'bld_own');
    await gone('instances', 'ins_own');
    for (const id of ['bld_foreign', 'ins_foreign']) {
      await control.until(() => agent.log.includes(id), `a word about ${id}`);
    }
  });
});
