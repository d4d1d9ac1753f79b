import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceSpec } from '../../../../src/shared/contracts/instances.ts';
import { AgentProcess, workerSpec } from '../../../support/running-agent.ts';
import { FakeControl } from '../../../support/fake-control.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let control: FakeControl;
let agent: AgentProcess;
beforeEach(async () => {
  control = await new FakeControl().start();
  agent = await AgentProcess.create({ controlUrl: control.url });
});
afterEach(async () => {
  await agent.destroy();
  await control.stop();
});

const spec = (id: string, more: Partial<InstanceSpec> = {}) => workerSpec(control, id, more);
const healthy = (id: string) => control.healthy(id);

describe('sessions', () => {
  const text = (session: string, stream = 'stdout') =>
    control.messages
      .flatMap((m) => (m.type === 'sessionOutput' && m.session === session && m.stream === stream ? [m.data] : []))
      .map((data) => Buffer.from(data, 'base64').toString())
      .join('');
  const exit = (session: string) =>
    control.until(() => control.messages.find((m) => m.type === 'sessionExit' && m.session === session), 'its exit');
  const input = (session: string, data: string | null) =>
    control.send({ type: 'sessionInput', session, data: data === null ? null : Buffer.from(data).toString('base64') });

  beforeEach(async () => {
    agent.start();
    await control.untilLinked();
    control.assign([spec('ins_a')]);
    await healthy('ins_a');
  });

  it('runs a command inside an instance, with its input, output and exit code', async () => {
    const argv = ['sh', '-c', 'cat; echo "$GREETING $1" >&2; exit 7', 'x', "it's; $(a) word"];
    control.send({ type: 'sessionOpen', session: 's1', target: { exec: 'ins_a' }, argv });
    input('s1', 'typed\n');
    input('s1', null);
    expect(await exit('s1')).toMatchObject({ code: 7 });
    expect(text('s1')).toBe('typed\n');
    expect(text('s1', 'stderr')).toBe("hi it's; $(a) word\n");
  });

  it('runs a command in a fresh surrounding, which is gone afterwards', async () => {
    control.send({
      type: 'sessionOpen',
      session: 's1',
      target: { run: spec('ins_run', { restart: 'never' }) },
      argv: ['cat', 'hello.txt'],
    });
    expect(await exit('s1')).toMatchObject({ code: 0 });
    expect(text('s1')).toBe('hello from the tree');
    expect(() => statSync(join(agent.data, 'instances', 'ins_run'))).toThrow();
  });

  it('gives a terminal, with its size and with words that mean something to a shell', async () => {
    const argv = [
      'sh',
      '-c',
      'test -t 0 && stty size; printf "%s|" "$@"; read line; echo "got $line"',
      'x',
      "a'b",
      '$(c)',
      '',
    ];
    control.send({
      type: 'sessionOpen',
      session: 's1',
      target: { exec: 'ins_a' },
      argv,
      tty: { columns: 91, rows: 33 },
    });
    await control.until(() => text('s1').includes('|'), 'output');
    input('s1', 'yes\r');
    expect(await exit('s1')).toMatchObject({ code: 0 });
    expect(text('s1').replaceAll('\r', '')).toBe("33 91\na'b|$(c)||yes\ngot yes\n");
  });

  it('says how a signal ended a command, and ends one whose user went away', async () => {
    control.send({ type: 'sessionOpen', session: 's1', target: { exec: 'ins_a' }, argv: ['sleep', '1000'] });
    control.send({
      type: 'sessionOpen',
      session: 's2',
      target: { exec: 'ins_a' },
      argv: ['sh', '-c', 'echo up; sleep 1000'],
    });
    await control.until(() => text('s2').includes('up'), 'its start');
    control.send({ type: 'sessionSignal', session: 's2', signal: 'SIGHUP' });
    expect(await exit('s2')).toMatchObject({ code: 129 });
    control.send({ type: 'sessionSignal', session: 's1', signal: 'SIGTERM' });
    expect(await exit('s1')).toMatchObject({ code: 143 });
  });

  it('says what is wrong with an instance that is not there and a command that does not exist', async () => {
    control.send({ type: 'sessionOpen', session: 's1', target: { exec: 'ins_none' }, argv: ['true'] });
    expect(await exit('s1')).toMatchObject({ code: 5, error: expect.stringContaining('ins_none') });
    control.send({ type: 'sessionOpen', session: 's2', target: { exec: 'ins_a' }, argv: ['no-such-program'] });
    expect(await exit('s2')).toMatchObject({ code: 127 });
  });

  it('passes much output on whole', async () => {
    control.send({
      type: 'sessionOpen',
      session: 's1',
      target: { exec: 'ins_a' },
      argv: ['sh', '-c', 'head -c 30000000 /dev/zero'],
    });
    expect(await exit('s1')).toMatchObject({ code: 0 });
    expect(text('s1').length).toBe(30_000_000);
  });
});
