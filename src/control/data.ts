/** The data directory of a control plane and its database: opened together, or refused together. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PaasError } from '../shared/errors.ts';
import { writeDurably } from '../shared/files.ts';
import { newId } from '../shared/ids.ts';
import { acquireLock, type LockFile } from '../shared/lock-file.ts';
import { databasePath } from './config.ts';
import { loadSealer, type Sealer } from './secrets.ts';
import type { Settings } from './settings.ts';
import { openStore, type Store } from './store/open.ts';

export interface Data {
  lock: LockFile;
  store: Store;
  sealer: Sealer;
  /** Marks this platform's hosts at clouds; its servers share it. */
  platform: string;
  /** This server's own identity, which holds leases. */
  serverId: string;
}

/**
 * Opens a data directory, which only one process may have open, and the database that belongs to it.
 * @throws PaasError locked; corrupt where a part is missing or damaged: nothing is deleted or begun anew then
 */
export async function openData(settings: Settings): Promise<Data> {
  const { dataDir } = settings;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
  const lock = acquireLock(join(dataDir, 'server.lock'), `the data directory ${dataDir} of the control plane`);
  let store: Store | undefined;
  try {
    const keyFile = join(dataDir, 'master.key');
    if (settings.databaseUrl === null) refuseLostDatabase(databasePath(settings), keyFile);
    store = await openStore(databasePath(settings));
    const platform = await identify(store);
    const sealer = await openSealer(store, keyFile);
    return { lock, store, sealer, platform, serverId: serverIdentity(dataDir) };
  } catch (error) {
    await store?.close();
    lock.release();
    throw error;
  }
}

/** A key without a database would begin anew and forget all apps, where the file was lost or emptied by mistake. */
function refuseLostDatabase(database: string, keyFile: string): void {
  if (!existsSync(keyFile) || (existsSync(database) && statSync(database).size > 0)) return;
  throw new PaasError('corrupt', `The database ${database} is missing or empty, but its master key is there.`, {
    hint: `Restore the database from a backup. To start anew without its apps, move ${keyFile} away.`,
  });
}

/** The master key, tried on something that it has sealed: with another one nothing may be written. */
async function openSealer(store: Store, keyFile: string): Promise<Sealer> {
  const sealed = await store.db.selectFrom('keys').select(['id', 'secret']).orderBy('created_at').executeTakeFirst();
  // The first signing key is the first thing that is ever sealed.
  const sealer = loadSealer(keyFile, sealed === undefined);
  if (sealed) sealer.open(sealed.secret, `keys/${sealed.id}`);
  return sealer;
}

/** The platform's identity is kept in the database. */
function identify(store: Store): Promise<string> {
  return store.transaction(async (trx) => {
    const present = await trx.selectFrom('meta').select('value').where('key', '=', 'platform-id').executeTakeFirst();
    if (present) return present.value;
    const platform = newId('plt');
    await trx.insertInto('meta').values({ key: 'platform-id', value: platform }).execute();
    return platform;
  });
}

function serverIdentity(dataDir: string): string {
  const file = join(dataDir, 'server-id');
  const present = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (present.startsWith('srv_')) return present;
  const made = newId('srv');
  writeDurably(file, made);
  return made;
}
