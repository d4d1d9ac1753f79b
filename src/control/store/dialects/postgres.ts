import pg from 'pg';
import { PostgresDialect } from 'kysely';

/** PostgreSQL. All our integers are below 2^53, so bigint columns are read as numbers, as SQLite's are. */
export function postgresDialect(url: string): PostgresDialect {
  const parsers = new pg.TypeOverrides();
  parsers.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({ connectionString: url, max: 10, types: parsers });
  // An idle connection broke (the database was restarted): the pool has dropped it already, and the next query opens
  // another or says itself what is wrong. Without a listener this would end the process.
  pool.on('error', () => undefined);
  return new PostgresDialect({ pool });
}
