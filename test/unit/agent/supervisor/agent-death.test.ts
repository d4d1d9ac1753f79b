import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import type { LogBlock, LogPosition } from '../../../../src/shared/contracts/agent.ts';
import type { InstanceSpec, InstanceStatus } from '../../../../src/shared/contracts/instances.ts';
import { bundle } from '../../../support/bundle.ts';
import { openTemporary, processesNaming, specOf } from '../../../support/instances.ts';
import { eventually } from '../../../support/eventually.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** What the control plane would see and store, over several agents. */
class Platform {
  readonly directory = openTemporary();
  readonly text = new Map<string, Buffer[]>();
  readonly offsets = new Map<string, number>();
  statuses: InstanceStatus[] = [];
  recovered: InstanceStatus[] | null = null;
  errors: string[] = [];
  rss = 0;
  agent: ChildProcess | null = null;
  #blocks = 0;

  async start(specs: InstanceSpec[]): Promise<void> {
    const file = path.join(this.directory, 'specs.json');
    writeFileSync(file, JSON.stringify(specs));
    this.recovered = null;
    const program = await bundle('test/support/keeping-process.ts', 'keeping-process.js');
    const agent = fork(program, [this.directory, file], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    // What a dead agent's link still held does not count any more.
    agent.on('message', (message: Record<string, never>) => agent === this.agent && this.#take(message));
    this.agent = agent;
    await eventually(() => this.recovered).not.toBeNull();
    agent.send({ resume: this.#positions() });
  }

  async kill(): Promise<void> {
    const agent = this.agent!;
    this.agent = null;
    agent.kill('SIGKILL');
    await once(agent, 'exit');
  }

  output(id: string): string {
    return Buffer.concat(this.text.get(`${id} stdout`) ?? []).toString('utf8');
  }
  state(id: string): InstanceStatus | undefined {
    return this.statuses.find((one) => one.id === id);
  }

  #take(
    message: { header?: LogBlock; payload?: string; error?: string; rss?: number } & Record<string, InstanceStatus[]>,
  ): void {
    if (message.error) this.errors.push(message.error);
    if (message.rss) this.rss = Math.max(this.rss, message.rss);
    if (message.recovered) this.statuses = this.recovered = message.recovered;
    if (message.statuses) this.statuses = message.statuses;
    if (!message.header) return;
    const key = `${message.header.instance} ${message.header.stream}`;
    expect(message.header.from).toBe(this.offsets.get(key) ?? 0);
    this.offsets.set(key, message.header.to);
    this.text.set(key, [...(this.text.get(key) ?? []), Buffer.from(message.payload!, 'base64')]);
    // Not every acknowledgement arrives before the agent dies; but so many that it always may send on.
    if (++this.#blocks % 2 === 0) this.agent!.send({ acked: this.#positions() });
  }
  #positions(): LogPosition[] {
    return [...this.offsets].map(([key, offset]) => {
      const [instance, stream] = key.split(' ') as [string, LogPosition['stream']];
      return { instance, stream, offset };
    });
  }
}

let platform: Platform | null = null;
afterEach(async () => {
  if (!platform) return;
  if (platform.agent) await platform.kill();
  await platform.start([]);
  const running = (): string[] => processesNaming(platform!.directory).filter((line) => line.includes('keeper.sh'));
  await eventually(running).toEqual([]);
  await platform.kill();
  rmSync(platform.directory, { recursive: true, force: true, maxRetries: 5 });
  platform = null;
});

it.runIf(process.platform === 'linux')(
  'kill -9 of the agent restarts nothing, and loses and doubles no line',
  async () => {
    platform = new Platform();
    const spec = specOf({
      command: 'i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo "line $i"; sleep 0.001; done; sleep 600',
    });
    await platform.start([spec]);
    await eventually(() => platform!.state(spec.id)?.state).toBe('healthy');
    const { startedAt } = platform.state(spec.id)!;
    const all = Array.from({ length: 1000 }, (_, i) => `line ${i + 1}\n`).join('');
    for (let round = 0; round < 4; round++) {
      // A busy machine has them all before the last round.
      const more = Math.min(platform.output(spec.id).length + 1, all.length);
      await eventually(() => platform!.output(spec.id).length).toBeGreaterThanOrEqual(more);
      await platform.kill();
      await platform.start([spec]);
      expect(platform.recovered).toMatchObject([{ id: spec.id, state: 'healthy', startedAt, restarts: 0 }]);
    }
    await eventually(() => platform!.output(spec.id)).toBe(all);
    expect(platform.state(spec.id)).toMatchObject({ startedAt, restarts: 0 });
    expect(platform.errors).toEqual([]);
  },
  60_000,
);

it.runIf(process.platform === 'linux')(
  'a flood of lines reaches the control plane whole and leaves the agent small',
  async () => {
    platform = new Platform();
    const lines = 300_000;
    const spec = specOf({ command: `seq -f "line %.0f of a flood that an app writes in one go" ${lines}; sleep 600` });
    await platform.start([spec]);
    const ended = `line ${lines} of a flood that an app writes in one go\n`;
    await eventually(() => platform!.output(spec.id).endsWith(ended)).toBe(true);
    expect(platform.output(spec.id).split('\n')).toHaveLength(lines + 1);
    expect(platform.rss / 2 ** 20).toBeLessThan(120);
  },
  60_000,
);
