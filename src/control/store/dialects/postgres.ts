import pg from 'pg';
import { PostgresDialect } from 'kysely';

/** PostgreSQL. All our integers are below 2^53, so bigint columns are read as numbers, as SQLite's are. */
export function postgresDialect(url: string): PostgresDialect {
  const parsers = new pg.TypeOverrides();
  parsers.setTypeParser(pg.types.builtins.INT8, Number);
  return new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 10, types: parsers }) });
}
