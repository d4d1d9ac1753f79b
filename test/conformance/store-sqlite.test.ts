import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openStore } from '../../src/control/store/open.ts';
import { storeSuite } from './store.suite.ts';

const directory = mkdtempSync(join(tmpdir(), 'paas-store-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
const fresh = () => Promise.resolve(join(directory, `${++files}.db`));

storeSuite('SQLite', { require: () => undefined, fresh });

describe('the file of an embedded store', () => {
  it('is nobody else’s to read', async () => {
    const path = await fresh();
    await (await openStore(path)).close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('that is no database is refused by name and left as it is', async () => {
    const path = await fresh();
    writeFileSync(path, 'this is no database, but it may be dear to someone\n'.repeat(40));
    const before = readFileSync(path);
    await expect(openStore(path)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining(path) as string,
      hint: expect.stringContaining('backup') as string,
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('that was cut off is refused, wherever it was cut', async () => {
    const path = await fresh();
    const store = await openStore(path);
    const value = 'x'.repeat(1000);
    for (let i = 0; i < 50; i++)
      await store.db
        .insertInto('meta')
        .values({ key: String(i), value })
        .execute();
    await store.close();
    const whole = readFileSync(path);
    for (const part of [0.99, 0.5, 0.1, 0.001]) {
      writeFileSync(path, whole);
      truncateSync(path, Math.floor(whole.length * part));
      await expect(openStore(path), `at ${part}`).rejects.toMatchObject({ code: 'corrupt' });
    }
  });

  it('that was damaged while it was in use is refused at the next start', async () => {
    const path = await fresh();
    const store = await openStore(path);
    const rows = Array.from({ length: 200 }, (_, index) => ({ key: String(index), value: 'x'.repeat(1000) }));
    await store.db.insertInto('meta').values(rows).execute();
    await store.close();
    const again = await openStore(path);
    await again.db.insertInto('meta').values({ key: 'last', value: 'y' }).execute();
    // As after a kill: the log is there, and the file lacks its second half.
    const copy = await fresh();
    for (const part of ['', '-wal']) copyFileSync(path + part, copy + part);
    await again.close();
    truncateSync(copy, Math.floor(statSync(copy).size / 2));
    await expect(openStore(copy)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining(copy) as string,
    });
  });

  it('whose log was cut off after a kill is refused, wherever it was cut; whole, it is read', async () => {
    const path = await fresh();
    const store = await openStore(path);
    for (let i = 0; i < 20; i++)
      await store.db
        .insertInto('meta')
        .values({ key: String(i), value: 'x' })
        .execute();
    const asKilled = async (): Promise<string> => {
      const copy = await fresh();
      for (const part of ['', '-wal', '-shm']) copyFileSync(path + part, copy + part);
      return copy;
    };
    const whole = await asKilled();
    const { size } = statSync(`${whole}-wal`);
    for (const length of [0, 20, 32, 1000, Math.floor(size / 2), size - 1]) {
      const cut = await asKilled();
      truncateSync(`${cut}-wal`, length);
      await expect(openStore(cut), `at ${length}`).rejects.toMatchObject({
        code: 'corrupt',
        message: expect.stringContaining(`${cut}-wal is cut off`) as string,
      });
      expect(statSync(`${cut}-wal`).size).toBe(length);
    }
    await store.close();
    const again = await openStore(whole);
    expect(await again.db.selectFrom('meta').selectAll().execute()).toHaveLength(20);
    await again.close();
  });

  it('that cannot be opened says why', async () => {
    const missing = join(directory, 'missing', 'paas.db');
    await expect(openStore(missing)).rejects.toMatchObject({ message: expect.stringContaining(missing) as string });
    const taken = join(directory, 'a-directory.db');
    mkdirSync(taken);
    await expect(openStore(taken)).rejects.toMatchObject({ message: expect.stringContaining(taken) as string });
  });
});
