import pg from 'pg';
import { PostgresDialect, type PostgresPoolClient } from 'kysely';

/** For connections that are waited for: to the server, or until one of the pool is free. */
const connectMs = 10_000;
/** Idle connections are probed after so long, before a firewall on the way forgets them. */
const keepAliveMs = 10_000;

/**
 * PostgreSQL. All our integers are below 2^53, so bigint columns are read as numbers, as SQLite's are.
 * @param queryMs how long a query may take, asked for at each; 0: for ever. Without an end, one connection that a
 * network swallowed would keep whoever waits for its answer, a loop of the control plane say, for ever.
 */
export function postgresDialect(url: string, queryMs: () => number): PostgresDialect {
  const parsers = new pg.TypeOverrides();
  parsers.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({
    ...{ connectionString: url, max: 10, types: parsers, connectionTimeoutMillis: connectMs },
    ...{ keepAlive: true, keepAliveInitialDelayMillis: keepAliveMs },
  });
  // An idle connection broke (the database was restarted): the pool has dropped it already, and the next query opens
  // another or says itself what is wrong. Without a listener this would end the process.
  pool.on('error', () => undefined);
  // The same while it is in use: the query under way, or the next one, says so.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new PostgresDialect({
    pool: { connect: async () => leased(await pool.connect(), queryMs), end: () => pool.end() },
  });
}

/** A connection out of the pool, which takes it back only where the server itself has answered all that was asked. */
function leased(client: pg.PoolClient, queryMs: () => number): PostgresPoolClient {
  let lost: Error | undefined;
  const query = async (text: string, values: readonly unknown[]) => {
    if (lost) throw lost;
    const config = { text, values: [...values], query_timeout: queryMs() };
    try {
      return await client.query(config);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) lost = error as Error;
      throw error;
    }
  };
  // Nothing asks for cursors, the other thing that `query` could be called with.
  return { query, release: () => client.release(lost) } as unknown as PostgresPoolClient;
}
