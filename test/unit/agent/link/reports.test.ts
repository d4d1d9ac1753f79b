import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReports, type Reports } from '../../../../src/agent/link-reports.ts';
import type { AgentMessage } from '../../../../src/shared/contracts/agent.ts';
import type { InstanceStatus } from '../../../../src/shared/contracts/instances.ts';

const status = (id: string, state: InstanceStatus['state']): InstanceStatus => ({
  ...{ id, state, ready: state === 'healthy', address: null, port: null, startedAt: null, restarts: 0 },
  ...{ message: null, exit: null, cpu: 0, memoryMb: 0 },
});

describe('reports of an agent', () => {
  let sent: Extract<AgentMessage, { type: 'report' }>[];
  let present: InstanceStatus[];
  let reports: Reports;
  beforeEach(() => {
    vi.useFakeTimers();
    sent = [];
    present = [status('a', 'healthy')];
    reports = createReports({
      dataRoot: tmpdir(),
      statuses: () => present,
      generation: () => 7,
      send: (message) => message.type === 'report' && sent.push(message) > 0,
    });
    reports.start(3000);
  });
  afterEach(() => {
    reports.stop();
    vi.useRealTimers();
  });

  it('gather changes for a moment', () => {
    reports.changed([status('a', 'starting')]);
    reports.changed([status('a', 'healthy'), status('b', 'starting')]);
    vi.advanceTimersByTime(50);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ generation: 7, full: false });
    expect(sent[0]?.instances.map(({ id, state }) => [id, state])).toEqual([
      ['a', 'healthy'],
      ['b', 'starting'],
    ]);
  });

  it('tell of everything at every heartbeat', () => {
    vi.advanceTimersByTime(6000);
    expect(sent.map(({ full, instances }) => [full, instances.length])).toEqual([
      [true, 1],
      [true, 1],
    ]);
  });

  it('tell how an instance ended that is gone by the time of a whole report', () => {
    reports.changed([status('b', 'stopped')]);
    reports.soon(true);
    vi.advanceTimersByTime(50);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.full).toBe(true);
    expect(sent[0]?.instances.map(({ id }) => id).sort()).toEqual(['a', 'b']);
  });

  it('say nothing without a link', () => {
    reports.stop();
    reports.changed([status('b', 'stopped')]);
    reports.soon(true);
    vi.advanceTimersByTime(60_000);
    expect(sent).toEqual([]);
  });
});
