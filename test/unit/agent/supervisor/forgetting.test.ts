import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { createLogShipper } from '../../../../src/agent/logs/shipper.ts';
import { eventually } from '../../../support/eventually.ts';
import { openHost, specOf } from '../../../support/instances.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

it.runIf(process.platform === 'linux')('forgets a silent task that a late assignment still named', async () => {
  const delivered: string[] = [];
  const shipper = createLogShipper({
    send: () => true,
    delivered(instance) {
      delivered.push(instance);
      host.supervisor.logsDone(instance);
    },
    failed(error) {
      throw error;
    },
  });
  const host = await openHost({ logs: shipper });
  try {
    shipper.resume([]);
    const task = specOf({ command: 'exit 0', restart: 'never' });
    host.supervisor.apply([task]);
    await eventually(() => delivered).toEqual([task.id]);
    host.supervisor.apply([task]);
    host.supervisor.apply([]);
    await eventually(() => host.supervisor.statuses()).toEqual([]);
    expect(existsSync(path.join(host.directory, 'instances', task.id, 'logs'))).toBe(false);
  } finally {
    await host.close();
    shipper.close();
  }
});
