import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openHost, processesNaming, specOf, type TestHost } from '../../../support/instances.ts';
import { eventually } from '../../../support/eventually.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

// A machine so busy that the keeper gets to write its first file after three seconds, or what a test says.
vi.mock('../../../../src/agent/runtimes/scripts.ts', async (original) => {
  const scripts = await original<{ keeperScript: string }>();
  return {
    ...scripts,
    keeperScript: scripts.keeperScript.replace(
      'owner=$1',
      'sleep "$(cat "$0.seconds" 2>/dev/null || echo 3)"; owner=$1',
    ),
  };
});

let host: TestHost;
beforeEach(async () => {
  host = await openHost();
});
afterEach(() => host.close());

describe.runIf(process.platform === 'linux')('a keeper that takes long to begin', () => {
  it('runs a job once, and its end is seen', async () => {
    const spec = specOf({ command: 'echo done', restart: 'never' });
    host.supervisor.apply([spec]);
    await eventually(() => host.status(spec.id).exit).toMatchObject({ reason: 'exited', code: 0 });
    expect(host.output(spec.id)).toBe('done\n');
  });

  it('is gone with a stop, and starts nothing', async () => {
    writeFileSync(path.join(host.directory, 'instances', 'keeper.sh.seconds'), '600');
    const spec = specOf({ command: 'echo up; exec sleep 600', graceMs: 500 });
    host.supervisor.apply([spec]);
    await eventually(() => processesNaming(`${spec.id}/run`)).not.toEqual([]);
    host.supervisor.apply([]);
    await host.until(spec.id, { state: 'stopped' });
    await eventually(() => processesNaming(`${spec.id}/run`)).toEqual([]);
    expect(host.output(spec.id)).toBe('');
  });
});
