import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { createSessions, type Sessions } from '../../../../src/agent/session.ts';
import { processIdentity } from '../../../../src/shared/processes.ts';
import type { AgentMessage } from '../../../../src/shared/contracts/agent.ts';

vi.setConfig({ testTimeout: 90_000 });

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Sessions of commands of this machine; the link takes as long as `drained` does. */
function open(drained: () => Promise<void> = () => Promise.resolve(), ready: Promise<void> = Promise.resolve()) {
  const messages: AgentMessage[] = [];
  const sessions: Sessions = createSessions({
    log,
    link: { send: (message) => messages.push(message) > 0, drained },
    targets: {
      exec: async (_instance, argv) => {
        await ready;
        return { argv, env: {} };
      },
      run: () => expect.fail('not asked for'),
    },
  });
  const text = (stream: 'stdout' | 'stderr') =>
    messages
      .flatMap((m) => (m.type === 'sessionOutput' && m.stream === stream ? [m.data] : []))
      .map((data) => Buffer.from(data, 'base64').toString())
      .join('');
  const exit = () => vi.waitUntil(() => messages.find((m) => m.type === 'sessionExit'), { timeout: 40_000 });
  const run = (script: string) => {
    const argv = ['/bin/sh', '-c', script];
    sessions.handle({ type: 'sessionOpen', session: 's1', target: { exec: 'i' }, argv, flow: true });
  };
  /** In pieces, as a client sends it. */
  const input = (megabytes: number) => {
    const data = Buffer.alloc(1 << 18, 'x').toString('base64');
    for (let i = 0; i < megabytes * 4; i++) sessions.handle({ type: 'sessionInput', session: 's1', data });
  };
  const taken = () => messages.reduce((sum, m) => sum + (m.type === 'sessionTaken' ? m.bytes : 0), 0);
  return { messages, sessions, text, exit, run, input, taken };
}

it('passes on what a command wrote last, however slow the link', async () => {
  const { run, exit, text } = open(() => sleep(400, undefined));
  run('head -c 400000 /dev/zero; echo last >&2');
  expect(await exit()).toMatchObject({ code: 0 });
  expect(text('stdout').length).toBe(400_000);
  expect(text('stderr')).toBe('last\n');
});

it('ends although what escaped the command goes on writing', async () => {
  const { run, exit, text } = open();
  const directory = mkdtempSync(join(tmpdir(), 'paas-session-'));
  const up = join(directory, 'up');
  const escape = `echo still here; touch ${up}; while echo still here; do sleep 0.05; done`;
  run(`setsid sh -c "${escape}" & until [ -e ${up} ]; do sleep 0.05; done; exit 4`);
  expect(await exit()).toMatchObject({ code: 4 });
  rmSync(directory, { recursive: true });
  expect(text('stdout')).toContain('still here');
});

it('leaves alone what a command left running that says nothing', async () => {
  const { run, exit, text } = open();
  run('sleep 600 >/dev/null 2>&1 </dev/null & echo $!');
  expect(await exit()).toMatchObject({ code: 0 });
  const pid = Number(text('stdout'));
  expect(processIdentity(pid)).not.toBeNull();
  process.kill(pid);
});

it('says how much of the input the command has taken', async () => {
  const { messages, sessions, run, input, taken, exit, text } = open();
  run('read go; echo going; wc -c');
  expect(messages).toEqual([{ type: 'sessionTaken', session: 's1', bytes: 0 }]);
  input(4); // one line, which is not over
  sessions.handle({ type: 'sessionInput', session: 's1', data: Buffer.from('\n').toString('base64') });
  await vi.waitUntil(() => text('stdout') === 'going\n', { timeout: 40_000 });
  input(4);
  sessions.handle({ type: 'sessionInput', session: 's1', data: null });
  expect(await exit()).toMatchObject({ code: 0 });
  expect(text('stdout')).toBe(`going\n${4 << 20}\n`);
  expect(taken()).toBe((8 << 20) + 1);
});

it('holds back what the command does not read, and says why it ends one that is sent too much', async () => {
  const { run, input, taken, exit, text } = open();
  run('echo up; exec sleep 600');
  await vi.waitUntil(() => text('stdout') === 'up\n', { timeout: 40_000 });
  input(8);
  expect(taken()).toBeLessThan(1 << 20);
  expect(text('stderr')).toBe('');
  input(9);
  expect(await exit()).toMatchObject({ code: 129 });
  expect(text('stderr')).toBe('paas: the command is ended: it has not read 16 MiB of its input\n');
});

it('keeps no more than that for a command that has not begun', async () => {
  let begin = () => {};
  const { run, input, exit, text } = open(undefined, new Promise((resolve) => (begin = resolve)));
  run('cat >/dev/null');
  input(17);
  begin();
  expect(await exit()).toMatchObject({ error: expect.stringContaining('before it began') as string });
  expect(text('stderr')).toContain('16 MiB');
});
