import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { createSessions, type Sessions } from '../../../../src/agent/session.ts';
import { processIdentity } from '../../../../src/shared/processes.ts';
import type { AgentMessage } from '../../../../src/shared/contracts/agent.ts';

vi.setConfig({ testTimeout: 30_000 });

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Sessions of commands of this machine; the link takes as long as `drained` does. */
function open(drained: () => Promise<void> = () => Promise.resolve()) {
  const messages: AgentMessage[] = [];
  const sessions: Sessions = createSessions({
    log,
    link: { send: (message) => messages.push(message) > 0, drained },
    targets: {
      exec: (_instance, argv) => Promise.resolve({ argv, env: {} }),
      run: () => expect.fail('not asked for'),
    },
  });
  const text = (stream: 'stdout' | 'stderr') =>
    messages
      .flatMap((m) => (m.type === 'sessionOutput' && m.stream === stream ? [m.data] : []))
      .map((data) => Buffer.from(data, 'base64').toString())
      .join('');
  const exit = () => vi.waitUntil(() => messages.find((m) => m.type === 'sessionExit'), { timeout: 20_000 });
  return {
    ...{ messages, sessions, text, exit },
    run: (script: string) =>
      sessions.handle({ type: 'sessionOpen', session: 's1', target: { exec: 'i' }, argv: ['/bin/sh', '-c', script] }),
  };
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
  run('setsid sh -c "while echo still here; do sleep 0.05; done" & sleep 0.2; exit 4');
  expect(await exit()).toMatchObject({ code: 4 });
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
