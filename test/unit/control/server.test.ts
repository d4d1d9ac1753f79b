/** The server itself on its data directory: what it refuses to start on. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/control/logger.ts';
import { startServer } from '../../../src/control/main.ts';

const root = mkdtempSync(join(tmpdir(), 'paas-server-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const logger = createLogger(() => undefined);
const config = (dataDir: string) => ({
  dataDir,
  listen: { host: '127.0.0.1', port: 0 },
  router: { driver: 'embedded', address: '127.0.0.1', port: 0 },
  adminKey: { id: 'admin', secret: 'a secret that is at least 32 long' },
});
const start = (dataDir: string) => startServer(config(dataDir), logger);

/** A data directory that a server has used and left. */
async function used(name: string): Promise<string> {
  const dataDir = join(root, name);
  await (await start(dataDir)).stop();
  return dataDir;
}

describe('a control plane', () => {
  it('starts on nothing, says where it is, and starts again on what it left', async () => {
    const dataDir = join(root, 'fresh');
    const server = await start(dataDir);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect(JSON.parse(readFileSync(join(dataDir, 'endpoint.json'), 'utf8'))).toMatchObject({ url: server.url });
    await expect(start(dataDir)).rejects.toMatchObject({ code: 'locked' });
    await server.stop();
    await (await start(dataDir)).stop();
  });

  it('that was killed before its first key was made starts all the same', async () => {
    const dataDir = await used('killed');
    rmSync(join(dataDir, 'master.key'));
    const { openStore } = await import('../../../src/control/store/open.ts');
    const store = await openStore(join(dataDir, 'paas.db'));
    await store.db.deleteFrom('keys').execute();
    await store.close();
    await (await start(dataDir)).stop();
  });

  it.each([
    ['whose master key is gone', (dir: string) => rmSync(join(dir, 'master.key'))],
    ['whose master key is cut off', (dir: string) => truncateSync(join(dir, 'master.key'), 5)],
    ['whose master key is empty', (dir: string) => truncateSync(join(dir, 'master.key'), 0)],
    [
      'whose master key is another one',
      (dir: string) => writeFileSync(join(dir, 'master.key'), Buffer.alloc(32, 9).toString('base64')),
    ],
    ['whose database is gone', (dir: string) => rmSync(join(dir, 'paas.db'))],
    ['whose database is empty', (dir: string) => truncateSync(join(dir, 'paas.db'), 0)],
    ['whose database is cut off', (dir: string) => truncateSync(join(dir, 'paas.db'), 5000)],
  ])('%s is refused by name; nothing is deleted or begun anew', async (name, damage) => {
    const dataDir = await used(name.replaceAll(' ', '-'));
    damage(dataDir);
    const copy = `${dataDir}-copy`;
    cpSync(dataDir, copy, { recursive: true });
    for (let i = 0; i < 2; i++) {
      await expect(start(dataDir)).rejects.toMatchObject({
        code: 'corrupt',
        hint: expect.stringMatching(/[Rr]estore/) as string,
      });
    }
    for (const file of ['master.key', 'paas.db']) {
      expect(existsSync(join(dataDir, file))).toBe(existsSync(join(copy, file)));
      if (existsSync(join(copy, file)) && name.includes('database'))
        expect(readFileSync(join(dataDir, file)).equals(readFileSync(join(copy, file)))).toBe(true);
    }
  });

  it('refuses to listen beyond this machine without TLS', async () => {
    const open = { ...config(join(root, 'open')), listen: { host: '0.0.0.0', port: 0 } };
    await expect(startServer(open, logger)).rejects.toMatchObject({ code: 'usage' });
  });
});
