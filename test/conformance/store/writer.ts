/** Writes pairs of numbered rows for ever, each pair in a transaction, and prints each acknowledged number. */
import { writeSync } from 'node:fs';
import { openStore } from '../../../src/control/store/open.ts';

const store = await openStore(process.argv[2]!);
const last = await store.db
  .selectFrom('meta')
  .select((eb) => eb.fn.countAll<number>().as('rows'))
  .executeTakeFirstOrThrow();
for (let number = last.rows / 2 + 1; ; number++) {
  const value = String(number);
  await store.transaction(async (trx) => {
    await trx
      .insertInto('meta')
      .values({ key: `a${value}`, value })
      .execute();
    await trx
      .insertInto('meta')
      .values({ key: `b${value}`, value })
      .execute();
  });
  writeSync(1, `${value}\n`);
}
