/** Starts that go wrong: two at once, taken ports, damaged data; and clients that disagree, about time or with each other. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'libsql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killNow, startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform({ up: false });
});
afterAll(() => paas.remove());

/** Takes a port of loopback, as another program would. */
async function occupy(port: number): Promise<{ port: number; release: () => Promise<void> }> {
  const server: Server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

describe('paas up', () => {
  it('says which port is taken, what to do, and leaves nothing running', async () => {
    const other = await occupy(0);
    const result = await paas.cli(['up', '--port', String(other.port), '--router-port', '0', '--json']);
    expect([result.code, result.error.code]).toEqual([6, 'conflict']);
    expect(result.error.message).toContain(String(other.port));
    expect(result.error.hint).toContain('--port');
    const router = await paas.cli(['up', '--port', '0', '--router-port', String(other.port)]);
    expect(router.code).toBe(6);
    expect(router.stderr).toContain('--router-port');
    await other.release();
    const { servers, agents } = paas.processes();
    expect([servers, agents]).toEqual([[], []]);
  });

  it('twice at once starts one platform, and both say where', async () => {
    const both = await Promise.all([1, 2].map(() => paas.cli(['up', '--port', '0', '--router-port', '0', '--json'])));
    for (const result of both) expect(result.code, result.toString()).toBe(0);
    const [first, second] = both.map((result) => (result.json() as { url: string }).url);
    expect(first).toBe(second);
    const { servers, clouds, routers } = paas.processes();
    expect([servers.length, clouds.length, routers.length]).toEqual([1, 1, 1]);
    await paas.up([]);
  });

  it('says so when its own port was taken while it was down', async () => {
    await paas.ok(['push', 'there'], { cwd: paas.source('probe') });
    await paas.ok(['down']);
    const other = await occupy(Number(new URL(paas.url).port));
    const result = await paas.cli(['up', '--json']);
    expect([result.code, result.error.code]).toEqual([6, 'conflict']);
    await other.release();
    await paas.up();
    await paas.serves('there', 'version 1');
  });

  it('runs in the foreground until it is asked to end, which leaves apps running', async () => {
    await killNow([paas.pid('servers')], 'SIGTERM');
    const foreground = paas.start(['up', '--foreground']);
    await paas.waitFor('the platform to run', () => foreground.stdout.includes('The platform runs'), 60_000);
    await paas.ok(['status']);
    expect(paas.processes().servers).toHaveLength(1);
    foreground.signal('SIGTERM');
    const { code } = await foreground.exited;
    expect([0, 130]).toContain(code);
    expect(paas.processes().servers).toEqual([]);
    expect((await paas.get('there')).text).toBe('version 1');
    await paas.up();
  });

  it('in the foreground ends with its control plane when it is asked to while that starts', async () => {
    await killNow([paas.pid('servers')], 'SIGTERM');
    const foreground = paas.start(['up', '--foreground']);
    await paas.waitFor('the control plane to start', () => paas.processes().servers.length === 1);
    foreground.signal('SIGTERM');
    await paas.waitFor('it to end', () => paas.processes().servers.length === 0);
    const { code } = await foreground.exited;
    expect([0, 130]).toContain(code);
    await paas.up();
  });
});

describe('two pushes at once from two shells', () => {
  it('of one app end in one of the two versions, whole', async () => {
    const sources = ['a', 'b'].map((version) => paas.source('probe', { VERSION: `${version}\n` }));
    const results = await Promise.all(sources.map((cwd) => paas.cli(['push', 'raced', '--json'], { cwd })));
    for (const result of results) expect([0, 6], result.toString()).toContain(result.code);
    expect(results.some(({ code }) => code === 0)).toBe(true);
    await paas.settled('raced', { web: 1 });
    expect((await paas.get('raced')).text).toMatch(/^version [ab]$/);
  });

  it('of different apps both end well', async () => {
    const results = await Promise.all(
      ['left', 'right'].map((name) => paas.cli(['push', name], { cwd: paas.source('probe') })),
    );
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
  });
});

describe('a clock that is off', () => {
  // The message tells the difference at the time when the request arrives: half a minute later at most.
  it.each([-630, 630])('by %i seconds is named, with exit 4', async (seconds) => {
    const file = join(
      paas.directory({ 'clock.mjs': `const now = Date.now; Date.now = () => now() + ${seconds * 1000};` }),
      'clock.mjs',
    );
    const env = { NODE_OPTIONS: `--import=${pathToFileURL(file).href}` };
    const result = await paas.cli(['apps', '--json'], { env });
    expect([result.code, result.error.code]).toEqual([4, 'clock_skew']);
    expect(result.error.message).toMatch(/10 min/);
    expect(result.error.hint).toMatch(/clock/);
  });
});

describe('damaged data', () => {
  /** Stops the platform, and gives a way back to how it was. */
  async function stopped(): Promise<() => void> {
    await paas.ok(['down']);
    const root = join(paas.home, 'platform');
    const kept = join(paas.directory(), 'kept');
    cpSync(root, kept, { recursive: true });
    return () => {
      rmSync(root, { recursive: true });
      mkdirSync(root, { mode: 0o700 });
      cpSync(kept, root, { recursive: true });
    };
  }

  it('of any file is named by `paas up`, which deletes nothing', async () => {
    const restore = await stopped();
    for (const file of [
      'config.json',
      'local.json',
      'server/master.key',
      'server/paas.db',
      'cloud/state.json',
      'cloud/credentials.json',
    ]) {
      const path = join(paas.home, 'platform', file);
      truncateSync(path, Math.floor(statSync(path).size / 2));
      const size = statSync(path).size;
      const result = await paas.cli(['up', '--json'], { timeoutMs: 100_000 });
      expect(result.code, `${file}: ${result.toString()}`).not.toBe(0);
      expect(`${result.error.message} ${result.error.hint}`, result.toString()).toContain(file.split('/').at(-1));
      expect(existsSync(path), file).toBe(true);
      expect(statSync(path).size, file).toBe(size);
      await paas.killEverything();
      restore();
    }
    await paas.up();
    await paas.serves('there', 'version 1');
  }, 240_000);

  it('of a later version are refused in words, with exit 6, and left as they are', async () => {
    const restore = await stopped();
    const later: Record<string, (path: string) => void> = {
      'server/paas.db': (path) => {
        const database = new Database(path);
        database.exec("insert into schema_version (version, name) values (999, 'from-the-future')");
        database.exec('pragma wal_checkpoint(truncate)');
        database.close();
      },
      'server/blobs/format.json': (path) => writeFileSync(path, '{"format":999}'),
      'cloud/state.json': (path) =>
        writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), version: 999 })),
    };
    for (const [file, change] of Object.entries(later)) {
      const path = join(paas.home, 'platform', file);
      change(path);
      const result = await paas.cli(['up', '--json'], { timeoutMs: 100_000 });
      expect([result.code, result.error.code], `${file}: ${result.toString()}`).toEqual([6, 'conflict']);
      expect(result.error.message).toMatch(/written by a later version of paas \(format 999; this one knows \d+\)/);
      expect(result.error.hint).toContain('Upgrade paas');
      expect(existsSync(path)).toBe(true);
      await paas.killEverything();
      restore();
    }
    await paas.up();
    await paas.serves('there', 'version 1');
  }, 240_000);

  it('of a stored source is found by its hash: what runs goes on, and the next push is refused or mends it', async () => {
    await paas.ok(['down']);
    const packs = join(paas.home, 'platform', 'server', 'blobs', 'packs');
    const pack =
      readdirSync(packs)
        .map((name) => join(packs, name))
        .sort((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
    const bytes = readFileSync(pack);
    const at = bytes.indexOf('version ${version}');
    expect(at).toBeGreaterThan(0);
    bytes.write('VERSION', at);
    writeFileSync(pack, bytes);
    await paas.up();
    await paas.serves('there', 'version 1');
    const cwd = paas.source('probe', { 'other.txt': 'something new' });
    const pushed = await paas.cli(['push', 'elsewhere', '--json'], { cwd });
    // Either it was sent again, or whoever is asked says what is damaged; never is damaged code run.
    if (pushed.code === 0) expect((await paas.get('elsewhere')).text).toBe('version 1');
    else expect(JSON.stringify(pushed.error)).toMatch(/corrupt|damaged|checksum|digest/);
  });

  it('that vanished is said to be missing, rather than begun anew', async () => {
    await paas.ok(['down']);
    const path = join(paas.home, 'platform', 'server', 'master.key');
    renameSync(path, `${path}.away`);
    const result = await paas.cli(['up', '--json'], { timeoutMs: 100_000 });
    expect(result.code).not.toBe(0);
    expect(result.error.message).toContain('master.key');
    renameSync(`${path}.away`, path);
    await paas.up();
    await paas.serves('there', 'version 1');
  });
});
