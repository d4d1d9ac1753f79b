import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { eventually } from '../../../support/eventually.ts';
import { openHost, specOf, type TestHost } from '../../../support/instances.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: TestHost;
afterEach(() => host.close());

const never = (): Promise<never> => new Promise(() => undefined);

it.runIf(process.platform === 'linux').each(['tree', 'base'] as const)(
  'starts what crashed while others wait for a slow download of their %s, and lets those go that are not wanted',
  async (what) => {
    host = await openHost();
    const app = specOf();
    host.supervisor.apply([app]);
    await host.until(app.id, { state: 'healthy' });
    const asked = vi.fn(never);
    if (what === 'tree') Object.assign(host.trees, { ensure: asked, materialise: asked });
    else host.resolve = ({ name }) => (name === 'debian' ? asked() : Promise.resolve(host.base));
    const slow = Array.from({ length: 12 }, () =>
      specOf({ image: { tree: '1'.repeat(64), base: { name: 'debian', digest: '2'.repeat(64) } } }),
    );
    host.supervisor.apply([app, ...slow]);
    await eventually(() => asked.mock.calls.length).toBeGreaterThanOrEqual(8);
    const first = readFileSync(path.join(host.directory, 'instances', app.id, 'run', 'app'), 'utf8');
    process.kill(Number.parseInt(first, 10), 'SIGKILL');
    await host.until(app.id, { state: 'healthy', restarts: 1 });
    expect(slow.map(({ id }) => host.status(id).state)).toEqual(slow.map(() => 'pending'));
    host.supervisor.apply([app]);
    for (const { id } of slow) await host.until(id, { state: 'stopped' });
  },
);
