import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogBlock, LogPosition } from '../../../../src/shared/contracts/agent.ts';
import { createLogShipper, type LogShipper, type LogShipperOptions } from '../../../../src/agent/logs/shipper.ts';
import { eventually } from '../../../support/eventually.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** A control plane that stores blocks, and refuses what does not fit to what it has. */
class Store {
  text = new Map<string, string>();
  offsets = new Map<string, number>();
  blocks: LogBlock[] = [];
  lost = { bytes: 0, lines: 0 };
  accepting = true;

  take(header: LogBlock, payload: Buffer): boolean {
    if (!this.accepting) return false;
    const key = `${header.instance} ${header.stream}`;
    expect(header.to - header.from).toBe(payload.length);
    expect(payload.length).toBeLessThanOrEqual(256 * 1024);
    expect(header.from - header.dropped.bytes).toBe(this.offsets.get(key) ?? 0);
    this.offsets.set(key, header.to);
    this.text.set(key, (this.text.get(key) ?? '') + payload.toString('latin1'));
    this.blocks.push(header);
    this.lost.bytes += header.dropped.bytes;
    this.lost.lines += header.dropped.lines;
    return true;
  }
  positions(): LogPosition[] {
    return [...this.offsets].map(([key, offset]) => {
      const [instance, stream] = key.split(' ') as [string, LogPosition['stream']];
      return { instance, stream, offset };
    });
  }
}

const labels = { name: 'web.1', appId: 'app_1', processType: 'web', release: 1, source: 'app' } as const;

describe('log shipper', () => {
  let directory: string;
  let file: string;
  let store: Store;
  let delivered: string[];
  let shipper: LogShipper;

  const open = (options: Partial<LogShipperOptions> = {}): LogShipper => {
    shipper = createLogShipper({
      send: (header, payload) => store.take(header, payload),
      delivered: (instance) => delivered.push(instance),
      failed(error) {
        throw error;
      },
      ...options,
    });
    shipper.add({ instance: 'ins_1', ...labels, files: { stdout: file, stderr: path.join(directory, 'stderr.log') } });
    return shipper;
  };
  const stored = (): string => store.text.get('ins_1 stdout') ?? '';

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'paas-logs-'));
    file = path.join(directory, 'stdout.log');
    store = new Store();
    delivered = [];
  });
  afterEach(() => {
    shipper.close();
    rmSync(directory, { recursive: true });
  });

  it('sends lines as they come, with their labels', async () => {
    open().resume([]);
    writeFileSync(file, 'one\ntwo\nthr');
    await eventually(stored).toBe('one\ntwo\n');
    appendFileSync(file, 'ee\n');
    await eventually(stored).toBe('one\ntwo\nthree\n');
    expect(store.blocks[0]).toMatchObject({
      type: 'logs',
      instance: 'ins_1',
      ...labels,
      stream: 'stdout',
      partial: false,
    });
    expect(Date.parse(store.blocks[0]!.ts)).toBeLessThanOrEqual(Date.now());
  });

  it('sends the unfinished end of an ended source and says when all is stored', async () => {
    writeFileSync(file, 'one\nend');
    open().resume([]);
    await eventually(stored).toBe('one\n');
    shipper.end('ins_1');
    await eventually(stored).toBe('one\nend');
    expect(store.blocks.at(-1)?.partial).toBe(true);
    expect(delivered).toEqual([]);
    shipper.acked(store.positions());
    await eventually(() => delivered).toEqual(['ins_1']);
  });

  it('neither loses nor doubles anything over broken links and new agents', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 90)}\n`);
    open({ windowBytes: 64 * 1024 }).resume([]);
    for (let i = 0; i < lines.length; i += 1000) {
      appendFileSync(file, lines.slice(i, i + 1000).join(''));
      await eventually(() => stored().length).toBeGreaterThan(i / 40);
      const kind = (i / 1000) % 4;
      if (kind === 0) shipper.acked(store.positions());
      if (kind === 1) {
        shipper.pause(); // what was sent last did not arrive
        shipper.resume(store.positions());
      }
      if (kind === 2) {
        shipper.close();
        open({ windowBytes: 64 * 1024 }).resume(store.positions());
      }
    }
    await eventually(() => {
      shipper.acked(store.positions());
      return stored().length;
    }).toBe(statSync(file).size);
    expect(stored()).toBe(lines.join(''));
  });

  it('holds no more than a window back, and goes on when it is acknowledged', async () => {
    writeFileSync(file, 'x'.repeat(99) + '\n');
    appendFileSync(file, ('y'.repeat(99) + '\n').repeat(20_000));
    open({ windowBytes: 512 * 1024 }).resume([]);
    await eventually(() => stored().length).toBeGreaterThanOrEqual(512 * 1024);
    expect(stored().length).toBeLessThanOrEqual(768 * 1024);
    shipper.acked(store.positions());
    await eventually(() => stored().length).toBeGreaterThan(768 * 1024);
  });

  it('offers a refused block again', async () => {
    store.accepting = false;
    writeFileSync(file, 'one\n');
    open().resume([]);
    store.accepting = true;
    await eventually(stored).toBe('one\n');
  });

  it('drops the oldest of what cannot be delivered, and counts it', async () => {
    const line = 'z'.repeat(99) + '\n';
    open({ spoolBytes: 1 << 20 });
    for (let i = 0; i < 4; i++) {
      appendFileSync(file, line.repeat(10_000));
    }
    await eventually(() => statSync(file).blocks * 512).toBeLessThan(2 << 20);
    shipper.close();
    open({ spoolBytes: 1 << 20 }).resume([]);
    await eventually(() => store.offsets.get('ins_1 stdout')).toBe(4_000_000);
    expect(stored()).toBe(line.repeat(stored().length / 100));
    expect(store.lost.bytes).toBe(4_000_000 - stored().length);
    expect(store.lost.lines).toBe(store.lost.bytes / 100);
    expect(stored().length).toBeLessThanOrEqual(1 << 20);
  });

  it('gives the space of delivered output back and keeps offsets', async () => {
    const size = 20 << 20;
    writeFileSync(file, ('a'.repeat(1023) + '\n').repeat(size / 1024));
    open({ windowBytes: 32 << 20 }).resume([]);
    await eventually(() => store.offsets.get('ins_1 stdout')).toBe(size);
    shipper.acked(store.positions());
    await eventually(() => statSync(file).blocks * 512).toBeLessThan(1 << 20);
    expect(statSync(file).size).toBe(size);
    appendFileSync(file, 'more\n');
    await eventually(() => stored().endsWith('a\nmore\n')).toBe(true);
  });

  it('does not use an offset twice when the end of a file was lost', async () => {
    writeFileSync(file, 'short\n');
    open().resume([{ instance: 'ins_1', stream: 'stdout', offset: 100 }]);
    store.offsets.set('ins_1 stdout', 100);
    appendFileSync(file, 'next\n');
    await eventually(stored).toBe('next\n');
  });

  it('serves others while one floods', async () => {
    writeFileSync(file, 'flood\n'.repeat(1_000_000));
    open({ windowBytes: 2 << 20 }).resume([]);
    const other = path.join(directory, 'stderr.log');
    writeFileSync(other, 'quiet\n');
    await eventually(() => store.text.get('ins_1 stderr')).toBe('quiet\n');
    expect(stored().length).toBeLessThan(6_000_000);
  });
});
