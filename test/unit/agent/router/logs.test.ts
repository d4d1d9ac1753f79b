import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../../../src/agent/log.ts';
import { createLogShipper, type LogShipper } from '../../../../src/agent/logs/shipper.ts';
import { shipRouterLogs, type RouterLogs } from '../../../../src/agent/router-logs.ts';
import type { LogBlock } from '../../../../src/shared/contracts/agent.ts';
import type { RouteTable } from '../../../../src/shared/contracts/routes.ts';
import { readRouterLogId } from '../../../../src/shared/router-log.ts';
import { eventually } from '../../../support/eventually.ts';

let directory: string;
let blocks: { header: LogBlock; text: string }[];
let stored: Map<string, number>;
let isUp: boolean;
let logged: string;
let shipper: LogShipper;
let logs: RouterLogs;

function start(): void {
  shipper = createLogShipper({
    send: (header, payload) => {
      if (!isUp) return false;
      blocks.push({ header, text: payload.toString() });
      stored.set(header.instance, header.to);
      setImmediate(() => shipper.acked([{ instance: header.instance, stream: 'stdout', offset: header.to }]));
      return true;
    },
    delivered: (instance) => logs.delivered(instance),
    failed(error) {
      throw error;
    },
  });
  logs = shipRouterLogs({
    ...{ directory: join(directory, 'access'), hostId: 'hst_1', shipper, intervalMs: 5 },
    log: createLog((line) => (logged += line)),
  });
  shipper.resume([...stored].map(([instance, offset]) => ({ instance, stream: 'stdout', offset })));
}
function stop(): void {
  logs.close();
  shipper.close();
}
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-access-'));
  blocks = [];
  stored = new Map();
  isUp = true;
  logged = '';
  start();
});
afterEach(() => {
  stop();
  rmSync(directory, { recursive: true });
  expect(logged).toBe('');
});

const path = (name: string): string => join(directory, 'access', name);
const write = (name: string, text: string): void => {
  mkdirSync(join(directory, 'access'), { recursive: true });
  appendFileSync(path(name), text);
};
const textOf = (appId: string): string =>
  blocks.flatMap(({ header, text }) => (header.appId === appId ? [text] : [])).join('');
const arrived = async (appId: string, text: string): Promise<void> => {
  await eventually(() => textOf(appId)).toBe(text);
};
const table = (...apps: string[]): RouteTable => ({
  ...{ version: 1, http: [], tcp: [] },
  backends: Object.fromEntries(apps.map((appId) => [appId, { app: appId, appId, state: 'serving', endpoints: [] }])),
});

describe('the access logs of a router', () => {
  it('are found as they come, and shipped app by app', async () => {
    write('app_1.log', 'a\n');
    write('-.log', 'of nobody\n');
    await arrived('app_1', 'a\n');
    write('app_2.log', 'b\n');
    write('app_1.log', 'c\n');
    await arrived('app_2', 'b\n');
    await arrived('app_1', 'a\nc\n');
    const { header } = blocks[0]!;
    expect(header).toMatchObject({ name: 'router', processType: 'router', release: null, source: 'router' });
    expect(readRouterLogId(header.instance)).toEqual({ hostId: 'hst_1', appId: 'app_1' });
    expect(new Set(blocks.map(({ header: { appId } }) => appId))).toEqual(new Set(['app_1', 'app_2']));
  });

  it('go on where they were after a restart of the agent', async () => {
    write('app_1.log', 'a\n');
    await arrived('app_1', 'a\n');
    stop();
    write('app_1.log', 'b\n');
    start();
    await arrived('app_1', 'a\nb\n');
    expect(new Set(blocks.map(({ header }) => header.instance)).size).toBe(1);
  });

  it('are removed when their app is gone for long, but not before they are delivered', async () => {
    isUp = false;
    write('app_1.log', 'a\n');
    write('app_2.log', 'b\n');
    const long = Date.now() / 1000 - 2 * 3600;
    for (const name of ['app_1.log', 'app_2.log']) utimesSync(path(name), long, long);
    logs.table(table('app_2'));
    await eventually(() => existsSync(path('app_1.log.id'))).toBe(true);
    expect(existsSync(path('app_1.log'))).toBe(true);
    isUp = true;
    await eventually(() => existsSync(path('app_1.log.id'))).toBe(false);
    expect(readdirSync(join(directory, 'access')).sort()).toEqual(['app_2.log', 'app_2.log.id']);
    await arrived('app_1', 'a\n');
    await arrived('app_2', 'b\n');
  });

  it('of an app that comes back are a log of their own', async () => {
    write('app_1.log', 'a\n');
    await arrived('app_1', 'a\n');
    const long = Date.now() / 1000 - 2 * 3600;
    utimesSync(path('app_1.log'), long, long);
    logs.table(table());
    await eventually(() => existsSync(path('app_1.log'))).toBe(false);
    logs.table(table('app_1'));
    write('app_1.log', 'b\n');
    await arrived('app_1', 'a\nb\n');
    expect(new Set(blocks.map(({ header }) => header.instance)).size).toBe(2);
    expect(blocks.at(-1)!.header.from).toBe(0);
  });
});
