import Database from 'libsql';
import { chmodSync } from 'node:fs';
import { SqliteDialect, type SqliteDatabase } from 'kysely';

/**
 * SQLite through libSQL's synchronous binding on one connection: Kysely queues all statements on it, so there is one
 * writer and no second connection that could miss a PRAGMA. A durable insert takes about 0.2 ms.
 */
export function sqliteDialect(path: string): SqliteDialect {
  return new SqliteDialect({
    database: () => {
      const database = new Database(path, { timeout: 5000 });
      if (path !== ':memory:') chmodSync(path, 0o600);
      database.exec('pragma journal_mode = wal');
      database.exec('pragma synchronous = full');
      database.exec('pragma foreign_keys = on');
      return Promise.resolve(database as unknown as SqliteDatabase);
    },
  });
}
