import Database from 'libsql';
import { chmodSync } from 'node:fs';
import { SqliteDialect, type SqliteDatabase } from 'kysely';
import { PaasError } from '../../../shared/errors.ts';
import { hasLog, refuseCutLog, refuseStump, syncIndex } from './sqlite-file.ts';

/**
 * SQLite through libSQL's synchronous binding on one connection: Kysely queues all statements on it, so there is one
 * writer and no second connection that could miss a PRAGMA. A durable insert takes about 0.2 ms.
 */
export function sqliteDialect(path: string): SqliteDialect {
  return new SqliteDialect({
    database: () => Promise.resolve(open(path)),
  });
}

function open(path: string): SqliteDatabase {
  const killed = path !== ':memory:' && hasLog(path);
  if (path !== ':memory:') {
    refuseStump(path);
    refuseCutLog(path);
  }
  const database = new Database(path, { timeout: 5000 });
  if (path !== ':memory:') chmodSync(path, 0o600);
  database.exec('pragma journal_mode = wal');
  database.exec('pragma synchronous = full');
  database.exec('pragma foreign_keys = on');
  if (killed) check(database, path);
  return {
    prepare: (sql) => database.prepare(sql),
    close: () => {
      // libSQL closes its files only when the last statement is collected: until then all would stand in the log alone.
      database.exec('pragma wal_checkpoint(truncate)');
      if (path !== ':memory:') syncIndex(path);
      database.close();
    },
  };
}

/** After a kill the file is read once as a whole, so that damage shows now and not in the middle of a push. */
function check(database: Database.Database, path: string): void {
  const { quick_check: found } = database.prepare('pragma quick_check(1)').get() as { quick_check: string };
  if (found === 'ok') return;
  throw new PaasError('corrupt', `${path} is damaged: ${found}`, {
    hint: 'Restore it from a backup, or move it away and start anew. Nothing was changed.',
  });
}
