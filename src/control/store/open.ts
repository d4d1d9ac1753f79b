/**
 * The Store: one SQL schema on SQLite (libSQL, embedded) or PostgreSQL (several servers).
 *
 *   open ─► migrate ─► ready ─► closed
 *             └ refused: the data comes from a later version
 *
 * A write that `transaction` or `db` has answered is durable: SQLite runs with WAL and synchronous=FULL.
 */
import { HandleEmptyInListsPlugin, Kysely, replaceWithNoncontingentExpression, type Transaction } from 'kysely';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { laterVersion } from '../../shared/data-format.ts';
import { migrations, type Migration } from './migrations/index.ts';
import type { Schema } from './schema.ts';
import { sqliteDialect } from './dialects/sqlite.ts';
import { postgresDialect } from './dialects/postgres.ts';

export type Dialect = 'sqlite' | 'postgres';
export type Db = Kysely<Schema>;
export type Trx = Transaction<Schema>;

export interface Store {
  readonly dialect: Dialect;
  readonly db: Db;
  /** Runs `work` atomically; SQLite serialises all of them (one writer), PostgreSQL runs them serializable with retries. */
  transaction<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A query that PostgreSQL has not answered by then is given up; ours take milliseconds, those of maintenance seconds. */
const longestQueryMs = 60_000;

/**
 * Opens (creates, migrates) the store at `url`: a file path, or `postgres://…`. A migration that fails leaves all as it was.
 * @throws PaasError `conflict` when the data was written by a later version or the file may not be written; `corrupt`
 * when the file is no database; `unavailable` when PostgreSQL does not answer; `disk_full`
 */
export async function openStore(
  url: string,
  steps: readonly Migration[] = migrations,
  queryMs = longestQueryMs,
): Promise<Store> {
  // A migration of large tables takes the time that it takes.
  let migrated = false;
  const dialect: Dialect = /^postgres(ql)?:/.test(url) ? 'postgres' : 'sqlite';
  const db = new Kysely<Schema>({
    dialect: dialect === 'postgres' ? postgresDialect(url, () => (migrated ? queryMs : 0)) : sqliteDialect(url),
    // `in ()` is no SQL to PostgreSQL: it becomes `1 = 0`.
    plugins: [new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })],
  });
  try {
    await migrate(db, dialect, url, steps);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  migrated = true;
  return {
    dialect,
    db,
    transaction: (work) => runTransaction(db, dialect, work),
    close: () => db.destroy(),
  };
}

/** SQLSTATE of a key, table, type or column that another one made at the same moment. */
const madeMeanwhile = ['23505', '42P07', '42710', '42701'];

/**
 * How often PostgreSQL's refusals of a transaction that met another one are answered by running it again, by SQLSTATE:
 * 40001 could not serialise, 40P01 deadlock; what was made meanwhile may be our own mistake, and shows again then.
 */
const attempts: Readonly<Record<string, number>> = {
  ...{ '40001': 30, '40P01': 30 },
  ...Object.fromEntries(madeMeanwhile.map((code) => [code, 5])),
};

async function runTransaction<T>(db: Db, dialect: Dialect, work: (trx: Trx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const builder = db.transaction();
      return await (dialect === 'postgres' ? builder.setIsolationLevel('serializable') : builder).execute(work);
    } catch (error) {
      if (dialect === 'sqlite' || attempt >= (attempts[codeOf(error)] ?? 1)) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(100, 2 ** attempt)));
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** Why the store cannot be opened, in words for whoever operates it. */
function openingFailed(error: unknown, dialect: Dialect, place: string): PaasError {
  if (error instanceof PaasError) return error;
  const code = codeOf(error);
  if (dialect === 'postgres') {
    return new PaasError('unavailable', `${place} cannot be used: ${String(error)}`, {
      hint: 'Check `databaseUrl` in the configuration of the server, and that PostgreSQL runs.',
      cause: error,
    });
  }
  if (code === 'SQLITE_FULL')
    return new PaasError('disk_full', `${place} cannot be opened: the disk is full.`, { cause: error });
  if (code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT') {
    return new PaasError('corrupt', `${place} cannot be read as a database: ${String(error)}`, {
      hint: 'Restore it from a backup, or move it away and start anew. Nothing was changed.',
      cause: error,
    });
  }
  return new PaasError('conflict', `${place} cannot be opened: ${String(error)}`, {
    hint: 'Check that the file and its directory are there and may be written, and that nothing else has it open.',
    cause: error,
  });
}

async function migrate(db: Db, dialect: Dialect, url: string, steps: readonly Migration[]): Promise<void> {
  const place = dialect === 'postgres' ? 'the PostgreSQL database' : url;
  await db.schema
    .createTable('schema_version')
    .ifNotExists()
    .addColumn('version', 'integer', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .execute()
    .catch((error: unknown) => {
      // Two servers may make it at the same moment; the second then finds it.
      if (!madeMeanwhile.includes(codeOf(error))) throw openingFailed(error, dialect, place);
    });
  await runTransaction(db, dialect, async (trx) => {
    const versions = trx.withTables<{ schema_version: { version: number; name: string } }>();
    const applied = await versions.selectFrom('schema_version').select('version').orderBy('version', 'desc').execute();
    const current = applied[0]?.version ?? 0;
    if (current > steps.length) {
      throw laterVersion(place, current, steps.length);
    }
    for (const [index, migration] of steps.entries()) {
      if (index < current) continue;
      await migration.up(trx as unknown as Kysely<unknown>, dialect);
      await versions
        .insertInto('schema_version')
        .values({ version: index + 1, name: migration.name })
        .execute();
    }
  }).catch((error: unknown) => {
    throw upgradeFailed(error, place);
  });
}

function upgradeFailed(thrown: unknown, place: string): PaasError {
  const error = asPaasError(thrown);
  if (error.code !== 'internal') return error;
  return new PaasError('internal', `The schema of ${place} cannot be upgraded: ${error.message}`, {
    hint: 'Nothing was changed: the version of paas from before still runs on it. Please report this.',
    cause: thrown,
  });
}
