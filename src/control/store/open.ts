/**
 * The Store: one SQL schema on SQLite (libSQL, embedded) or PostgreSQL (several servers).
 *
 *   open ─► migrate ─► ready ─► closed
 *             └ refused: the data comes from a later version
 *
 * A write that `transaction` or `db` has answered is durable: SQLite runs with WAL and synchronous=FULL.
 */
import { Kysely, type Transaction } from 'kysely';
import { PaasError } from '../../shared/errors.ts';
import { migrations } from './migrations/index.ts';
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

/**
 * Opens (creates, migrates) the store at `url`: a file path, or `postgres://…`.
 * @throws PaasError `conflict` when the data was written by a later version; `corrupt` when the file is no database.
 */
export async function openStore(url: string): Promise<Store> {
  const dialect: Dialect = /^postgres(ql)?:/.test(url) ? 'postgres' : 'sqlite';
  const db = new Kysely<Schema>({ dialect: dialect === 'postgres' ? postgresDialect(url) : sqliteDialect(url) });
  try {
    await migrate(db, dialect, url);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return {
    dialect,
    db,
    transaction: (work) => runTransaction(db, dialect, work),
    close: () => db.destroy(),
  };
}

async function runTransaction<T>(db: Db, dialect: Dialect, work: (trx: Trx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const builder = db.transaction();
      return await (dialect === 'postgres' ? builder.setIsolationLevel('serializable') : builder).execute(work);
    } catch (error) {
      // 40001: PostgreSQL could not serialise; the standard answer is to run the transaction again.
      const serialisation = error instanceof Error && 'code' in error && error.code === '40001';
      if (!serialisation || attempt >= 10) throw error;
    }
  }
}

async function migrate(db: Db, dialect: Dialect, url: string): Promise<void> {
  const place = dialect === 'postgres' ? 'the PostgreSQL database' : url;
  await db.schema
    .createTable('schema_version')
    .ifNotExists()
    .addColumn('version', 'integer', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .execute()
    .catch((error: unknown) => {
      throw new PaasError('corrupt', `${place} cannot be read as a database: ${String(error)}`, {
        hint: 'Restore it from a backup, or move it away and start anew. Nothing was changed.',
        cause: error,
      });
    });
  await runTransaction(db, dialect, async (trx) => {
    const versions = trx.withTables<{ schema_version: { version: number; name: string } }>();
    const applied = await versions.selectFrom('schema_version').select('version').orderBy('version', 'desc').execute();
    const current = applied[0]?.version ?? 0;
    if (current > migrations.length) {
      throw new PaasError(
        'conflict',
        `${place} was written by a later version of paas (schema ${current}; this one knows ${migrations.length}).`,
        { hint: 'Upgrade paas on this machine. Nothing was changed.' },
      );
    }
    for (const [index, migration] of migrations.entries()) {
      if (index < current) continue;
      await migration.up(trx as unknown as Kysely<unknown>, dialect);
      await versions
        .insertInto('schema_version')
        .values({ version: index + 1, name: migration.name })
        .execute();
    }
  });
}
