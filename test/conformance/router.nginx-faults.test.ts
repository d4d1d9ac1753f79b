/** nginx as a router on a bad day: a full disk, an agent or a master killed at the worst moment, ports that others have. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runProgram, spawnDetached } from '../../src/agent/steps/detached.ts';
import { nginxFiles } from '../../src/router/nginx/layout.ts';
import { lastRun } from '../../src/router/nginx/master.ts';
import type { Router, RouterConfig } from '../../src/router/port.ts';
import { createRouter } from '../../src/router/registry.ts';
import { parseConditions } from '../../src/shared/gray/rules-text.ts';
import { processIdentity, sendSignal } from '../../src/shared/processes.ts';
import { certificateFor } from '../support/certificates.ts';
import { mmdb, place } from '../support/mmdb.ts';
import { killNginx, nginxProcesses } from '../support/nginx-processes.ts';
import { requireOrSkip } from '../support/skip.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { eventually, fetchText, freePort, httpServer, rawClient } from '../support/wire.ts';
import { CleanUp, tableOf } from './router/support.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

/** A router's directory, and drivers for it, as an agent has one after the other. */
function world(
  directory = mkdtempSync(join(tmpdir(), 'paas-nginx-')),
  remove = () => rmSync(directory, { recursive: true }),
) {
  const files = nginxFiles(directory);
  const drivers: Router[] = [];
  const master = (): number => Number(readFileSync(files.pid, 'utf8'));
  cleanUp.add({
    close: async () => {
      await killNginx(directory);
      // What a driver does in the background may be on its way to nginx, and start another one.
      for (const router of drivers) await router.stop();
      await killNginx(directory);
      remove();
    },
  });
  const driver = (options: Partial<RouterConfig> = {}) => {
    const usual = { directory, address: '127.0.0.1', port: 0, program: [], spawnDetached, run: runProgram };
    const router = createRouter('nginx', { ...usual, ...options });
    drivers.push(router);
    return router;
  };
  return { directory, files, master, driver };
}
const app = async (text: string) => cleanUp.add(await httpServer((_request, response) => response.end(text)));
const get = (url: string, host: string) => fetchText(url, { headers: { host } });

describe('a disk that takes nothing', () => {
  it('is told, and the traffic follows the table', async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'paas-nginx-'));
    const disk = mountSmallDisk(directory, 4);
    requireOrSkip(context, disk !== undefined, 'a file system of its own (mount)');
    const { driver } = world(directory, () => disk!.remove());
    const router = driver({ tlsPort: 0 });
    await router.start();
    const { url } = await router.apply(tableOf({ k: { servers: [await app('first')] } }));
    disk!.fill(0);
    const table = tableOf(
      { k: { servers: [await app('second')] } },
      { certificates: [await certificateFor('k.test')] },
    );
    table.backends.k!.nginx = 'add_header X-Own yes;';
    const full = await router.apply(table);
    expect(full.version).toBe(table.version);
    expect(full.problems.join('\n')).toMatch(/route table could not be saved: ENOSPC/);
    expect(full.problems.join('\n')).toMatch(/certificate could not be saved: ENOSPC/);
    expect((await get(url, 'k.test')).body).toBe('second');
    disk!.empty();
    const later = await router.apply({ ...table, version: table.version + 1 });
    expect(later).toMatchObject({ problems: [], tlsUrl: expect.stringContaining('https') as string });
    expect((await get(url, 'k.test')).headers['x-own']).toBe('yes');
  });

  it("keeps no table from being in force whose apps' own configuration cannot be tried", async () => {
    const router = world().driver();
    await router.start();
    const temporary = process.env.TMPDIR;
    cleanUp.add({
      close: () => {
        if (temporary === undefined) delete process.env.TMPDIR;
        else process.env.TMPDIR = temporary;
      },
    });
    process.env.TMPDIR = '/nowhere';
    const table = tableOf({ k: { servers: [await app('k')] } });
    table.backends.k!.nginx = 'add_header X-Own yes;';
    const { url, problems } = await router.apply(table);
    expect(problems).toEqual([expect.stringMatching(/default\/dev\/k is left out: nginx cannot be asked .*ENOENT/)]);
    expect((await get(url, 'k.test')).body).toBe('k');
    delete process.env.TMPDIR;
    expect((await router.apply({ ...table, version: table.version + 1 })).problems).toEqual([]);
    expect((await get(url, 'k.test')).headers['x-own']).toBe('yes');
  });
});

describe('TLS and its redirect', () => {
  const secured = async () => {
    const table = tableOf({ k: { servers: [await app('k')] } }, { certificates: [await certificateFor('k.test')] });
    table.http[0]!.https = true;
    return table;
  };

  it('are kept by the next agent, when one was killed before it noted down a reload', async () => {
    const { files, driver } = world();
    const tlsPort = await freePort();
    const router = driver({ tlsPort });
    await router.start();
    await router.apply(tableOf({}));
    const before = readFileSync(files.shape);
    const table = await secured();
    const { url, tlsUrl } = await router.apply(table);
    expect((await get(url, 'k.test')).status).toBe(308);
    writeFileSync(files.shape, before);
    const next = driver({ tlsPort });
    await next.start();
    expect(await next.apply(table)).toMatchObject({ problems: [], tlsUrl });
    expect((await get(url, 'k.test')).status).toBe(308);
  });

  it('come by themselves when another program gives back the port', async () => {
    const { driver } = world();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const tlsPort = (taken.address() as { port: number }).port;
    const router = driver({ tlsPort });
    await router.start();
    const { url, problems } = await router.apply(await secured());
    expect(problems).toEqual([expect.stringContaining(`TLS port ${tlsPort}`)]);
    expect((await get(url, 'k.test')).status).toBe(200);
    await new Promise((resolve) => taken.close(resolve));
    const look = async () => {
      await router.observe();
      return (await get(url, 'k.test')).status;
    };
    await expect.poll(look, { timeout: 40_000 }).toBe(308);
    expect((await router.observe()).problems).toEqual([]);
  });
});

describe('processes that nobody keeps', () => {
  it('are ended and replaced, also a master that no agent has on record', async () => {
    const { files, master, driver } = world();
    const port = await freePort();
    await driver({ port }).start();
    const before = master();
    rmSync(files.running);
    const next = driver({ port });
    const { url } = await next.start();
    expect(master()).not.toBe(before);
    expect(processIdentity(before)).toBeNull();
    await next.apply(tableOf({ k: { servers: [await app('k')] } }));
    expect((await get(url, 'k.test')).body).toBe('k');
  });

  it('are not started by what a driver does in the background', async () => {
    const { directory, files, driver } = world();
    const router = driver();
    await router.start();
    const regions = join(directory, 'own.mmdb');
    writeFileSync(regions, mmdb({ '10.2.0.0/16': place('DE') }));
    const gray = { releases: [2], rules: [{ release: 2, all: parseConditions('region:DE') }] };
    await router.apply(tableOf({ k: { servers: [await app('k')], gray } }, { regions }));
    const before = lastRun(files);
    writeFileSync(regions, mmdb({ '10.3.0.0/16': place('DE') }));
    // It is time to look at the file, and to give nginx what it has now.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    await router.observe();
    vi.useRealTimers();
    await killNginx(directory);
    // Waits for its turn.
    await router.stop();
    expect(lastRun(files)).toEqual(before);
  });

  it.each(['that are left of a killed master', 'of a router with other settings'])(
    'hold up no other router with what they have open: workers %s',
    async (whose) => {
      const { directory, master, driver } = world();
      const port = await freePort();
      const router = driver({ port });
      await router.start();
      const upgrading = await httpServer(
        (_request, response) => response.end('plain'),
        (server) =>
          server.on('upgrade', (_request, socket) => {
            socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n');
            socket.on('error', () => undefined).on('data', (data: Buffer) => socket.write(`heard ${data.toString()}`));
          }),
      );
      const table = tableOf({ k: { servers: [cleanUp.add(upgrading)] } });
      await router.apply(table);
      const client = rawClient(port);
      cleanUp.add({ close: () => client.socket.destroy() });
      client.write('GET / HTTP/1.1\r\nHost: k.test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n');
      await client.until(/101 /);
      const left = whose.includes('killed');
      const before = master();
      if (left) {
        sendSignal(before, 'SIGKILL');
        await eventually('the master to be dead', () => processIdentity(before) === null);
      }
      const next = driver({ port, ...(!left && { responseTimeoutMs: 30_000 }) });
      const { url } = await next.start();
      expect((await get(url, 'k.test')).body).toBe('plain');
      client.write('still here');
      await client.until(/heard still here/);
      await next.stop();
      expect(nginxProcesses(directory)).toEqual([]);
    },
  );
});

describe("apps' own locations", () => {
  const own = (text: string) => `add_header X-Own ${text};`;

  it('leave the configuration some tables after their app, and are not tried again by the next agent', async () => {
    const { files, driver } = world();
    const router = driver();
    await router.start();
    const server = await app('k');
    const withOwn = async (text: string, by = router) => {
      const table = tableOf({ k: { servers: [server] } });
      table.backends.k!.nginx = own(text);
      return by.apply(table);
    };
    for (const text of ['first', 'second', 'third']) await withOwn(text);
    const configured = () =>
      [...readFileSync(files.configuration, 'utf8').matchAll(/X-Own (\w+);/g)].map(([, text]) => text);
    expect(configured().sort()).toEqual(['second', 'third']);
    await router.apply(tableOf({ other: { servers: [server], settings: { limits: { maxBodyBytes: 12_345 } } } }));
    await router.apply(tableOf({ other: { servers: [server], settings: { limits: { maxBodyBytes: 54_321 } } } }));
    expect(configured()).toEqual([]);
    const { url } = await withOwn('fourth');
    let asked = 0;
    const next = driver({
      run: (argv, options) => {
        asked++;
        return runProgram(argv, options);
      },
    });
    await next.start();
    expect((await withOwn('fourth', next)).problems).toEqual([]);
    expect(asked).toBe(0);
    expect((await get(url, 'k.test')).headers['x-own']).toBe('fourth');
  });
});
