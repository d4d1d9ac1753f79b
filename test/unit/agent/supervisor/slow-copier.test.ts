import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { systemClock, type Clock } from '../../../../src/agent/clock.ts';
import { copierPids } from '../../../../src/agent/runtimes/keeper.ts';
import { listProcesses, sendSignal } from '../../../../src/shared/processes.ts';
import { eventually } from '../../../support/eventually.ts';
import { openHost, specOf, type TestHost } from '../../../support/instances.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: TestHost;
afterEach(() => host.close());

it.runIf(process.platform === 'linux')(
  'loses no output on a machine where a copier gets no turn for seconds',
  async () => {
    // Once the app has ended, each look at what is left takes a quarter of a second.
    let looks = 0;
    let ended = (): boolean => false;
    const clock: Clock = {
      ...systemClock,
      monotonic: () => performance.now() + looks * 250,
      sleep(ms, signal) {
        if (ended()) looks++;
        return systemClock.sleep(ms, signal);
      },
    };
    host = await openHost({ clock });
    const spec = specOf({ command: 'echo first; until [ -e go ]; do sleep 0.02; done; echo last', restart: 'never' });
    const directory = path.join(host.directory, 'instances', spec.id);
    host.supervisor.apply([spec]);
    await eventually(() => existsSync(path.join(directory, 'logs/stdout.log')) && host.output(spec.id)).toBe('first\n');
    const cat = listProcesses().find(({ ppid }) => ppid === copierPids(directory)[0])!;
    process.kill(cat.pid, 'SIGSTOP');
    ended = () => readFileSync(path.join(directory, 'run/exit'), 'utf8').includes('\n');
    writeFileSync(path.join(directory, 'app/go'), '');
    await eventually(() => looks > 16 || host.status(spec.id).exit !== null).toBe(true);
    sendSignal(cat.pid, 'SIGCONT');
    await eventually(() => host.status(spec.id).exit).toMatchObject({ code: 0, reason: 'exited' });
    expect(host.output(spec.id)).toBe('first\nlast\n');
  },
);
