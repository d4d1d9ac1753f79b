import { sql, type Kysely } from 'kysely';

/** What routers do for apps besides routing: limits, maintenance, certificates. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table apps add column router text`.execute(db);
  await sql`alter table apps add column maintenance text`.execute(db);
  await sql`alter table apps add column nginx text`.execute(db);
  await sql`alter table releases add column router text`.execute(db);
  await sql`alter table routes add column https integer not null default 0`.execute(db);
  await db.schema
    .createTable('certificates')
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('chain', 'text')
    .addColumn('key', 'text')
    .addColumn('not_after', 'bigint')
    .addColumn('next_at', 'bigint')
    .addColumn('attempts', 'bigint', (c) => c.notNull())
    .addColumn('message', 'text')
    .addColumn('challenge', 'text')
    .addColumn('issuance', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('certificates_pk', ['host'] as never)
    .execute();
}
