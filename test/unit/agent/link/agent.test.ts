import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

describe('enrolment', () => {
  it('exchanges its token once and keeps its key for itself', async () => {
    agent.start();
    await control.untilLinked();
    expect(control.tokens.size).toBe(0);
    const key = join(agent.data, 'key.json');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(readFileSync(key, 'utf8')).not.toContain('token-1');
    await agent.end('SIGKILL');
    agent.start();
    await control.until(() => control.connections === 2, 'the second link');
    expect(control.requests.filter((request) => request.endsWith('/enrol'))).toHaveLength(1);
    expect(agent.log).not.toContain('secret-');
    expect(agent.log).not.toContain('token-1');
  });

  it('says clearly that it was refused, and goes on trying', async () => {
    control.tokens.clear();
    agent.start();
    await control.until(() => agent.log.includes('refuses to enrol'), 'a clear message');
    expect(await Promise.race([agent.exited(), Promise.resolve('running')])).toBe('running');
  });

  it('goes by the clock of the control plane when its own is off', async () => {
    control.skewMs = -3_600_000;
    agent.start();
    await control.untilLinked();
    expect(agent.log).toContain("this host's clock is off");
  });
});

describe('the program', () => {
  it('is one small file that needs nothing beside it, and only what Node 18 has', async () => {
    agent.start();
    await control.untilLinked();
    expect(readdirSync(dirname(agent.program))).toEqual(['agent.mjs']);
    const text = readFileSync(agent.program, 'utf8');
    expect(text.length).toBeLessThan(1_500_000);
    expect(text).not.toMatch(/AbortSignal\.any\(|\.toSorted\(|\.toReversed\(|Promise\.withResolvers|Object\.groupBy/);
    expect(text).not.toMatch(/require\("undici"\)|from "undici"/);
  });

  it('refuses a second agent on the same data', async () => {
    agent.start();
    await control.untilLinked();
    const second = await AgentProcess.create({ controlUrl: control.url });
    try {
      second.flags = ['--data', agent.data];
      second.start();
      expect(await second.exited()).toBe(6);
      expect(second.log).toContain('is in use by process');
    } finally {
      await second.destroy();
    }
  });

  it('ends with exit code 0 on SIGTERM, and leaves nothing open', async () => {
    agent.start();
    await control.untilLinked();
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  it('tells what the host is and has', async () => {
    agent.flags = ['--cpu', '1.5', '--memory', '2048'];
    agent.start();
    await control.untilLinked();
    const [hello] = control.messages;
    expect(hello).toMatchObject({
      type: 'hello',
      hostId: 'hst_1',
      facts: { cpu: 1.5, memoryMb: 2048, address: '127.0.0.1' },
    });
    expect(hello?.type === 'hello' && hello.facts.tools['node']).toBe(process.versions.node);
    expect(hello?.type === 'hello' && hello.facts.bases[0]?.name).toBe('host');
  });
});

describe('the link', () => {
  it('comes back after the server was killed, and at once after it restarts cleanly', async () => {
    agent.start();
    await control.untilLinked();
    await control.stop();
    await control.start();
    await control.until(() => control.connections === 2 && control.linked, 'a second link');
    control.closeLink(1012);
    await control.until(() => control.connections === 3, 'a third link');
  });

  it('passes over messages of a type that it does not know, and closes on malformed ones', async () => {
    agent.start();
    await control.untilLinked();
    control.sendText('{"type":"fromTheFuture","x":1}');
    control.assign([spec('ins_a')]);
    await healthy('ins_a');
    expect(control.connections).toBe(1);
    for (const text of ['{"type":"assignment"}', 'no json', '[]']) {
      const before = control.connections;
      await control.untilLinked();
      control.sendText(text);
      await control.until(() => control.connections > before && control.linked, 'a new link');
    }
  });

  it('reports everything at every heartbeat', async () => {
    control.heartbeatMs = 100;
    agent.start();
    await control.untilLinked();
    const full = () => control.messages.filter((message) => message.type === 'report' && message.full).length;
    await control.until(() => full() >= 3, 'three heartbeats');
  });
});

describe('assignments', () => {
  it('starts instances from their tree and sends their output', async () => {
    agent.start();
    await control.untilLinked();
    control.assign([spec('ins_a', { command: 'cat hello.txt; echo; echo "$GREETING"; exec sleep 1000' })]);
    await healthy('ins_a');
    await control.until(() => control.output('ins_a').includes('hi\n'), 'output');
    expect(control.output('ins_a')).toBe('hello from the tree\nhi\n');
    expect(agent.log).not.toContain('hush-hush');
  });

  it('never goes back to an older generation, also after a restart', async () => {
    agent.start();
    await control.untilLinked();
    control.assign([spec('ins_a')]);
    control.assign([spec('ins_b')]);
    await healthy('ins_b');
    const stopped = () => (control.status('ins_a')?.state ?? 'stopped') === 'stopped';
    await control.until(stopped, 'the end of ins_a');
    const refusals = () => agent.log.split('older than the one in force').length - 1;
    control.send({ type: 'assignment', assignment: { generation: 1, instances: [spec('ins_a')], keepTrees: [] } });
    await control.until(() => refusals() === 1, 'a refusal');
    await agent.end('SIGKILL');
    control.assignment = { generation: 1, instances: [spec('ins_a')], keepTrees: [] };
    agent.start();
    await control.until(() => control.messages.some((m) => m.type === 'hello' && m.generation === 2), 'a second hello');
    await control.until(() => refusals() === 2, 'another refusal');
    await healthy('ins_b');
    expect(stopped()).toBe(true);
  });

  it('keeps instances alive without a control plane, and takes them up again after kill -9', async () => {
    agent.start();
    await control.untilLinked();
    control.assign([spec('ins_a')]);
    const before = await healthy('ins_a');
    await control.until(() => control.output('ins_a').includes('line 5\n'), 'output');
    await control.stop();
    await agent.end('SIGKILL');
    agent.start();
    await control.until(() => agent.log.split('agent ready').length === 3, 'the second start');
    await control.start();
    await control.untilLinked();
    const after = await healthy('ins_a');
    expect(after).toMatchObject({ restarts: 0, startedAt: before.startedAt });
    const seen = control.output('ins_a').split('\n').length;
    await control.until(() => control.output('ins_a').split('\n').length > seen + 20, 'more output');
    const lines = control.output('ins_a').trimEnd().split('\n');
    expect(lines).toEqual(lines.map((_line, i) => `line ${i + 1}`));
  });

  it('removes an instance once it is not wanted and its output is delivered', async () => {
    agent.start();
    await control.untilLinked();
    control.assign([spec('ins_a')]);
    await healthy('ins_a');
    control.assign([]);
    await control.until(() => {
      const last = control.messages.findLast((message) => message.type === 'report' && message.full);
      return last?.type === 'report' && last.generation === 2 && last.instances.length === 0;
    }, 'a report without it');
    expect(() => statSync(join(agent.data, 'instances', 'ins_a'))).toThrow();
  });
});
