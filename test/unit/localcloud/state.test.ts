import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressBlock, newHost, openState, type CloudRecord } from '../../../src/localcloud/state.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-cloud-state-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = () => openState(directory, () => undefined);
const order = {
  az: 'local-1',
  isp: 'local',
  image: 'paas-agent',
  cpu: '2',
  memory: '4096',
  disk: '20',
  bandwidth: '1',
};
const add = (record: CloudRecord) => {
  const host = newHost(record, order);
  if (host) record.hosts.push(host);
  return host?.address;
};

describe('the state of the embedded cloud', () => {
  it('comes back as it was', () => {
    const state = open();
    add(state.record);
    state.commit();
    expect(open().record).toEqual(state.record);
  });

  it('takes a change back that cannot be made durable', () => {
    const state = open();
    rmSync(directory, { recursive: true });
    let undone = false;
    expect(() => state.commit(() => (undone = true))).toThrow('ENOENT');
    expect(undone).toBe(true);
    const logged: string[] = [];
    const noting = (() => {
      const other = mkdtempSync(join(tmpdir(), 'paas-cloud-state-'));
      const opened = openState(other, (_, message) => logged.push(message));
      rmSync(other, { recursive: true });
      return opened;
    })();
    noting.note();
    expect(logged).toEqual(['the state cannot be written']);
  });

  it('gives addresses in turn, never one in use, and none when all are taken', () => {
    const { record } = open();
    record.block = '127.20.3';
    expect([add(record), add(record), add(record)]).toEqual(['127.20.3.1', '127.20.3.2', '127.20.3.3']);
    record.hosts.splice(1, 1);
    expect(add(record)).toBe('127.20.3.4'); // not .2: its traffic may still be on the way
    while (record.hosts.length < 254) add(record);
    expect(new Set(record.hosts.map((host) => host.address)).size).toBe(254);
    expect(record.hosts.some((host) => host.address === '127.20.3.2')).toBe(true);
    expect(add(record)).toBeUndefined();
  });

  it('gives every host 127.0.0.1 where that is the only loopback address', () => {
    const { record } = open();
    record.block = null;
    expect([add(record), add(record)]).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  it('puts different directories into different blocks, the same one always into the same', () => {
    const other = mkdtempSync(join(tmpdir(), 'paas-cloud-state-'));
    try {
      expect(addressBlock(directory)).toBe(addressBlock(directory));
      expect(addressBlock(directory)).toMatch(/^127\.(\d{2}|1\d\d|2[0-4]\d|250)\.\d+$/);
      expect(addressBlock(directory)).not.toBe(addressBlock(other));
    } finally {
      rmSync(other, { recursive: true });
    }
  });
});
