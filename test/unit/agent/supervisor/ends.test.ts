import { describe, expect, it } from 'vitest';
import { restartDelay } from '../../../../src/agent/supervisor/backoff.ts';
import {
  afterEnd,
  afterFailedStart,
  afterHostRestart,
  exitOf,
  startKey,
} from '../../../../src/agent/supervisor/ends.ts';
import { newRecord, type InstanceRecord } from '../../../../src/agent/supervisor/record.ts';
import { statusOf } from '../../../../src/agent/supervisor/status.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { specOf } from '../../../support/instances.ts';

const exited = (code: number) => ({ exit: { code, signal: null, at: new Date(0) } });
const itself = { kind: 'itself' } as const;

describe('back-off', () => {
  it('restarts three times at once, then waits ever longer up to five minutes', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1000].map(restartDelay);
    expect(waits).toEqual([0, 0, 0, 5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  });

  it('counts any end nobody asked for, and forgets earlier ones after a minute of health', () => {
    const record = { ...newRecord(specOf()), running: true, startedAt: new Date(0).toISOString(), crashes: 6 };
    const exit = exitOf(exited(0), itself, record.spec, false, 1000);
    expect(afterEnd(record, itself, exit, 59_000)).toMatchObject({ crashes: 7, restarts: 1, nextStartAt: 99_000 });
    const healthy = { ...record, healthy: true };
    expect(afterEnd(healthy, itself, exit, 60_000)).toMatchObject({ crashes: 1, restarts: 1, nextStartAt: 60_000 });
  });
});

describe('starts that failed', () => {
  const away = new PaasError('unavailable', 'cannot reach the control plane');
  const shown = { health: { state: 'starting', message: null }, stopping: false, cpu: 0, memoryMb: 0 } as const;
  const seen = (record: InstanceRecord) => statusOf('i', record, shown, '127.0.0.1');

  it.each(['always', 'never'] as const)('for want of the control plane are no crashes (restart: %s)', (restart) => {
    let record = newRecord(specOf({ restart }));
    const waits = [1, 2, 3, 4, 5, 6, 100].map(() => {
      record = afterFailedStart(record, away, false, 1000);
      return record.nextStartAt - 1000;
    });
    expect(waits).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    expect(record).toMatchObject({ crashes: 0, exit: null, done: false });
    expect(seen(record)).toMatchObject({ state: 'pending', message: away.message, exit: null });
    const slow = new PaasError('timeout', 'sent nothing for 60 s');
    expect(seen(afterFailedStart(record, slow, true, 1000))).toMatchObject({ state: 'pending', message: slow.message });
  });

  it('forget such a wait with the next end', () => {
    const record = { ...afterFailedStart(newRecord(specOf()), away, false, 0), running: true };
    const exit = exitOf(exited(3), itself, record.spec, false, 0);
    const ended = afterEnd(record, itself, exit, 0);
    expect(seen(ended)).toMatchObject({ state: 'crashed', message: expect.stringContaining('exited with code 3') });
    expect(afterFailedStart(ended, away, false, 0).nextStartAt).toBe(1000);
  });

  it('are a crash of what shall run once only when it is given up', () => {
    const full = new PaasError('disk_full', 'no space left');
    const record = afterFailedStart(newRecord(specOf({ restart: 'never' })), full, false, 0);
    expect(seen(record)).toMatchObject({ state: 'pending', message: full.message });
    expect(seen(afterFailedStart(record, full, true, 0))).toMatchObject({ state: 'crashed', message: full.message });
    expect(seen(afterFailedStart(newRecord(specOf()), full, false, 0)).state).toBe('crashed');
  });
});

describe('ends', () => {
  const record = { ...newRecord(specOf()), running: true };

  it('says why an instance ended', () => {
    const { spec } = record;
    expect(exitOf(exited(3), itself, spec, false, 0)).toMatchObject({
      reason: 'exited',
      message: 'exited with code 3',
    });
    expect(exitOf({ exit: null }, itself, spec, false, 0)).toMatchObject({ code: null, reason: 'unknown' });
    const complaint = 'mkfifo: cannot create';
    expect(exitOf({ exit: null, complaint }, itself, spec, false, 0)).toMatchObject({
      reason: 'start-failed',
      message: complaint,
    });
    expect(exitOf(exited(137), itself, spec, true, 0)).toMatchObject({
      reason: 'oom',
      message: 'exceeded its memory limit of 256M',
    });
    expect(exitOf(exited(0), { kind: 'stop', killed: false }, spec, true, 0).reason).toBe('stopped');
  });

  it('does not take a child killed for memory long ago for the reason of a good end', () => {
    expect(exitOf(exited(0), itself, record.spec, true, 0).reason).toBe('exited');
  });

  it('does not count a restart that was asked for, nor a port taken by another', () => {
    const exit = exitOf(exited(0), itself, record.spec, false, 0);
    const counted = { ...record, crashes: 3, port: 12_345 };
    expect(afterEnd(counted, { kind: 'restart', killed: false }, exit, 5)).toMatchObject({
      crashes: 0,
      nextStartAt: 0,
    });
    const foreign = { kind: 'foreign-port', message: '' } as const;
    expect(afterEnd(counted, foreign, exit, 5)).toMatchObject({ crashes: 3, restarts: 0, port: null });
  });

  it('counts as crashes when one port after the other is another process’s, and backs off', () => {
    const foreign = { kind: 'foreign-port', message: 'port 1 was taken by another process' } as const;
    const ends = (from: InstanceRecord, count: number) => {
      const all: InstanceRecord[] = [];
      for (let last = from; all.length < count; all.push(last)) {
        last = afterEnd({ ...last, running: true }, foreign, exitOf(exited(0), foreign, last.spec, false, 0), 1000);
      }
      return all;
    };
    const all = ends(record, 6);
    expect(all.map(({ nextStartAt }) => nextStartAt)).toEqual([0, 0, 0, 6000, 11_000, 21_000]);
    expect(all.map(({ crashes, restarts }) => `${crashes} ${restarts}`)).toEqual([
      '0 0',
      '0 0',
      '0 0',
      '1 1',
      '2 2',
      '3 3',
    ]);
    const other = afterEnd(all[5]!, itself, exitOf(exited(1), itself, record.spec, false, 0), 1000);
    expect(ends(other, 1)[0]).toMatchObject({ nextStartAt: 0, crashes: 4 });
    const once = ends({ ...newRecord(specOf({ restart: 'never' })), running: true }, 4);
    expect(once.map(({ done }) => done)).toEqual([false, false, false, true]);
  });

  it('does not count an end that no agent saw: the host went down with it', () => {
    const unseen = { kind: 'unseen' } as const;
    const exit = exitOf(exited(0), unseen, record.spec, false, 0);
    expect(exit).toMatchObject({ code: 0, reason: 'exited' });
    expect(afterEnd({ ...record, crashes: 3 }, unseen, exit, 5)).toMatchObject({
      ...{ crashes: 3, restarts: 1, nextStartAt: 0 },
    });
    const once = { ...newRecord(specOf({ restart: 'never' })), running: true };
    expect(afterEnd(once, unseen, exit, 5)).toMatchObject({ done: true });
  });

  it('is done with what shall run only once, also when the host went down', () => {
    const once = { ...newRecord(specOf({ restart: 'never' })), running: true };
    expect(afterEnd(once, itself, exitOf(exited(1), itself, once.spec, false, 0), 0)).toMatchObject({ done: true });
    expect(afterHostRestart(once, 0)).toMatchObject({ done: true, exit: { message: 'the host was restarted' } });
    expect(afterHostRestart(record, 0)).toMatchObject({ done: false, running: false, crashes: 0 });
  });

  it('asks for a new start only for what a running process cannot be given', () => {
    const spec = specOf({ env: { A: '1', B: '2' } });
    const same = [
      { ...spec, env: { B: '2', A: '1' } },
      { ...spec, graceMs: 1 },
      { ...spec, health: { ...spec.health, timeoutMs: 1 } },
      { ...spec, name: 'web.9', release: 9 },
    ];
    for (const other of same) expect(startKey(other)).toBe(startKey(spec));
    const different = [
      { ...spec, env: { A: '1' } },
      { ...spec, command: 'true' },
      { ...spec, restartToken: 'x' },
      { ...spec, memoryMb: 1 },
    ];
    for (const other of different) expect(startKey(other)).not.toBe(startKey(spec));
  });
});
