import { sql, type Kysely } from 'kysely';

/** The steps of canary rollouts; null for others. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table rollouts add column canary text`.execute(db);
}
