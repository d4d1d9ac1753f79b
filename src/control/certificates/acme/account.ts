/** The platform's account at the certificate authority: made once, kept sealed in `meta`. */
import { generateKeyPairSync } from 'node:crypto';
import type { Control } from '../../context.ts';
import type { Trx } from '../../store/open.ts';
import type { AcmeClient } from './client.ts';
import { AuthorityError } from './problem.ts';

const metaKey = 'acme-account';
const place = `meta/${metaKey}`;

export interface Account {
  directory: string;
  /** PEM */
  key: string;
  /** null until it is registered, and again after its address changed. */
  url: string | null;
  email: string | null;
  /** Somebody agreed to the authority's terms of service. */
  termsAgreed: boolean;
}

type Part = Pick<Control, 'sealer' | 'settings'>;

/** The account, made where there is none; which is a new one after the configuration named another authority. */
export async function accountOf(control: Part, db: Trx): Promise<Account> {
  const { directory, email, termsOfServiceAgreed } = control.settings.acme;
  const row = await db.selectFrom('meta').select('value').where('key', '=', metaKey).executeTakeFirst();
  const kept = row ? (JSON.parse(control.sealer.open(row.value, place)) as Account) : undefined;
  if (kept?.directory === directory) return { ...kept, termsAgreed: kept.termsAgreed || termsOfServiceAgreed };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const account = { directory, key, url: null, email, termsAgreed: termsOfServiceAgreed };
  await saveAccount(control, db, account);
  return account;
}

async function saveAccount(control: Part, db: Trx, account: Account): Promise<void> {
  const value = control.sealer.seal(JSON.stringify(account), place);
  await db
    .insertInto('meta')
    .values({ key: metaKey, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}

/** Takes up what somebody said who asked for a certificate. */
export async function changeAccount(
  control: Part,
  trx: Trx,
  { email, termsAgreed }: { email?: string | undefined; termsAgreed: boolean },
): Promise<void> {
  const account = await accountOf(control, trx);
  const moved = email === undefined || email === account.email ? {} : { email, url: null };
  await saveAccount(control, trx, { ...account, ...moved, termsAgreed: account.termsAgreed || termsAgreed });
}

/**
 * Registers the account where it is not yet.
 * @throws AuthorityError, also when nobody has agreed to the authority's terms
 */
export async function register(
  control: Part & Pick<Control, 'store'>,
  client: AcmeClient,
  account: Account,
): Promise<void> {
  if (account.url !== null) return;
  const { host } = new URL(account.directory);
  const terms = (await client.getTermsOfServiceUrl()) as string | null;
  if (terms !== null && !account.termsAgreed) {
    const how = 'repeat `paas certs add … --acme` with --agree-terms';
    throw new AuthorityError(`${host} wants its terms of service agreed to first: read ${terms}, then ${how}`, {
      type: 'userActionRequired',
    });
  }
  await client.createAccount({
    termsOfServiceAgreed: true,
    ...(account.email === null ? {} : { contact: [`mailto:${account.email}`] }),
  });
  const url = client.getAccountUrl();
  await control.store.transaction(async (trx) => {
    const present = await accountOf(control, trx);
    // Somebody may have changed the address meanwhile: then it is told once more.
    if (present.key === account.key && present.email === account.email)
      await saveAccount(control, trx, { ...present, url });
  });
}

/** The authority does not know the account any more: the next issuance registers it again. */
export async function forgetRegistration(control: Part & Pick<Control, 'store'>): Promise<void> {
  await control.store.transaction(async (trx) => {
    await saveAccount(control, trx, { ...(await accountOf(control, trx)), url: null });
  });
}
