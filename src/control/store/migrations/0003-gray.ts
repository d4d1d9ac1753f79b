import { sql, type Kysely } from 'kysely';

/** Gray rules of an app and what runs for them; null where it has none. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table apps add column gray text`.execute(db);
}
