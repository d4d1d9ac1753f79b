import pg from 'pg';
import { PostgresDialect } from 'kysely';

const int8 = 20;

/** PostgreSQL. All our integers are below 2^53, so bigint columns are read as numbers, as SQLite's are. */
export function postgresDialect(url: string): PostgresDialect {
  const types: pg.CustomTypesConfig = {
    getTypeParser: ((oid: number, format?: 'text') =>
      oid === int8
        ? Number
        : (pg.types.getTypeParser(oid as never, format) as unknown)) as typeof pg.types.getTypeParser,
  };
  return new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 10, types }) });
}
