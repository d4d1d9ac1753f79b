/**
 * An agent reduced to what keeps instances: supervisor and log shipper, driven over the IPC channel of its parent.
 * argv: the data directory, then the specs as a JSON file. Tests bundle it, run it and kill it.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { LogPosition } from '../../src/shared/contracts/agent.ts';
import type { InstanceSpec } from '../../src/shared/contracts/instances.ts';
import { createLogShipper } from '../../src/agent/logs/shipper.ts';
import { findRuntimes } from '../../src/agent/runtimes/registry.ts';
import { createSupervisor, type Supervisor } from '../../src/agent/supervisor/index.ts';
import { address, MemoryTrees } from './instances-data.ts';

const [directory = '', specs = ''] = process.argv.slice(2);
/** The channel takes everything; its answer only says that it is busy. */
const say = (message: object): boolean => {
  process.send!(message);
  return true;
};
const log = { info: () => undefined, warn: () => undefined, error: (message: string) => say({ error: message }) };

const shipper = createLogShipper({
  send: (header, payload) => say({ header, payload: payload.toString('base64') }),
  delivered: (instance) => supervisor.logsDone(instance),
  failed: (error) => say({ error: String(error) }),
});
const supervisor: Supervisor = createSupervisor({
  directory: path.join(directory, 'instances'),
  address,
  trees: new MemoryTrees(),
  log,
  logs: shipper,
  bases: { resolve: () => Promise.resolve({ kind: 'host' }), hold: () => () => undefined },
  runtimes: await findRuntimes(),
});
process.on('message', (message: { resume?: LogPosition[]; acked?: LogPosition[] }) => {
  if (message.resume) shipper.resume(message.resume);
  if (message.acked) shipper.acked(message.acked);
});
await supervisor.recover();
say({ recovered: supervisor.statuses() });
supervisor.onChange(() => say({ statuses: supervisor.statuses() }));
supervisor.apply(JSON.parse(readFileSync(specs, 'utf8')) as InstanceSpec[]);
setInterval(() => say({ statuses: supervisor.statuses(), rss: process.memoryUsage.rss() }), 100);
