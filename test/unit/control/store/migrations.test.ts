/** Databases of earlier versions: what they looked like is kept in test/fixtures/store, one file a version. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { migrations } from '../../../../src/control/store/migrations/index.ts';
import { openStore } from '../../../../src/control/store/open.ts';

const fixtures = fileURLToPath(new URL('../../../fixtures/store', import.meta.url));
const fixture = (version: number): string => join(fixtures, `${String(version).padStart(4, '0')}.sql`);
const directory = mkdtempSync(join(tmpdir(), 'paas-migrations-'));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;
const newPath = (): string => join(directory, `${++files}.db`);

type Rows = Record<string, unknown>[];

function read<T>(path: string, query: (all: (sql: string) => Rows) => T): T {
  const database = new Database(path);
  try {
    return query((sql) => database.prepare(sql).all() as Rows);
  } finally {
    database.close();
  }
}

/** The statements that make the schema, tables first. */
const schemaOf = (path: string): string =>
  read(path, (all) =>
    all("select sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by type desc, name")
      .map(({ sql }) => `${String(sql)};\n`)
      .join(''),
  );

/** A database as a released version left it, with a row in each table. */
function databaseOf(version: number): string {
  const path = newPath();
  const database = new Database(path);
  database.exec(readFileSync(fixture(version), 'utf8'));
  for (const [index, { name }] of migrations.slice(0, version).entries())
    database.prepare('insert into schema_version (version, name) values (?, ?)').run([index + 1, name]);
  for (const table of tablesOf(path)) {
    const columns = database.prepare(`pragma table_info("${table}")`).all() as { name: string; type: string }[];
    const values = columns.map(({ type }, i) => (type.toLowerCase() === 'text' ? `text ${i}` : i + 1));
    const places = columns.map(() => '?').join(', ');
    database.prepare(`insert into "${table}" values (${places})`).run(values);
  }
  database.close();
  return path;
}

const tablesOf = (path: string): string[] =>
  read(path, (all) =>
    all("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
      .map(({ name }) => String(name))
      .filter((name) => name !== 'schema_version'),
  );

const released = migrations.map((_, index) => index + 1);

describe.each(released)('version %i', (version) => {
  it('makes the schema that it was released with', async () => {
    const path = newPath();
    await (await openStore(path, migrations.slice(0, version))).close();
    // A migration that people have run is never changed: a change is another migration, with a file of its own here.
    expect(existsSync(fixture(version)) || process.env['CI'] === undefined).toBe(true);
    await expect(schemaOf(path)).toMatchFileSnapshot(fixture(version));
  });

  it('is upgraded to the present one, with all that is in it', async () => {
    const path = databaseOf(version);
    const before = Object.fromEntries(
      tablesOf(path).map((table) => [table, read(path, (all) => all(`select * from "${table}"`))]),
    );
    await (await openStore(path)).close();
    const fresh = newPath();
    await (await openStore(fresh)).close();
    const columns = (of: string) =>
      tablesOf(of)
        .sort()
        .map((table) => [
          table,
          read(of, (all) => all(`select name, type, "notnull" from pragma_table_info('${table}') order by name`)),
        ]);
    expect(columns(path)).toEqual(columns(fresh));
    for (const [table, rows] of Object.entries(before)) {
      const after = read(path, (all) => all(`select * from "${table}"`));
      expect(after, table).toEqual(rows.map((row) => expect.objectContaining(row) as unknown));
    }
    expect(read(path, (all) => all('select max(version) as version from schema_version'))).toEqual([
      { version: migrations.length },
    ]);
  });
});
