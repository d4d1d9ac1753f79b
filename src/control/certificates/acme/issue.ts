/**
 * One certificate from an ACME authority (RFC 8555), proved by HTTP-01 through the routers.
 *
 *   next_at reached ─► order ─► challenge in the route table, acknowledged ─► authority told ─► valid
 *         ▲              │                                                                        │
 *         │              └── kept sealed in `issuance`: another process goes on with it           ▼
 *         ├── failed: next_at later and later ◄─────────────────────────────────────────── CSR, certificate
 *         └── issued: next_at when a third of its life is left ◄──────────────────────────────────┘
 *
 * `next_at` also tells one wish from the next: an issuance that was overtaken by somebody's change writes nothing.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { Order } from 'acme-client';
import { PaasError } from '../../../shared/errors.ts';
import type { Control } from '../../context.ts';
import { certificatePlace } from '../../reconcile/table.ts';
import { checkCertificate, type Checked } from '../pem.ts';
import { renewAt, retryAfter } from '../schedule.ts';
import type { CertificateRow } from '../view.ts';
import { accountOf, forgetRegistration, register } from './account.ts';
import { prove } from './challenge.ts';
import { openClient, signingRequest, type AcmeClient } from './client.ts';
import { described, AuthorityError } from './problem.ts';
import { Overtaken, unlessStopped, until } from './until.ts';

/** At so many hosts at a time; the others wait for their turn. */
const atOnce = 10;

/** Hosts whose certificate is to be asked for. */
export async function dueCertificates(control: Control, now = Date.now()): Promise<string[]> {
  const rows = await control.store.db
    .selectFrom('certificates')
    .select('host')
    .where('source', '=', 'acme')
    .where('next_at', '<=', now)
    .orderBy('next_at')
    .limit(atOnce)
    .execute();
  return rows.map(({ host }) => host);
}

/** The state between two looks of an issuance. */
interface Issuance {
  /** Whose order it is. */
  directory: string;
  /** URL of the order. */
  order: string;
  /** PEM of the certificate's private key. */
  key: string;
}

const issuancePlace = (host: string): string => `${certificatePlace(host)}/issuance`;

/**
 * Goes on with, or begins, what is due for a host, to its end. What fails is written down and tried again later.
 * @param signal the server stops: what is under way is left as it is, for whoever comes next
 */
export async function issueCertificate(control: Control, host: string, signal: AbortSignal): Promise<void> {
  const row = await control.store.db.selectFrom('certificates').selectAll().where('host', '=', host).executeTakeFirst();
  if (row?.source !== 'acme' || row.next_at === null || row.next_at > Date.now()) return;
  const work = new Work(control, row, signal);
  try {
    await work.succeed(await work.obtain());
  } catch (error) {
    if (signal.aborted || error instanceof Overtaken) return;
    await work.fail(error);
  }
}

class Work {
  readonly #control: Control;
  readonly #row: CertificateRow;
  readonly #signal: AbortSignal;

  constructor(control: Control, row: CertificateRow, signal: AbortSignal) {
    this.#control = control;
    this.#row = row;
    this.#signal = signal;
  }

  async obtain(): Promise<Checked> {
    const control = this.#control;
    const { host } = this.#row;
    const { directory, ca } = control.settings.acme;
    const account = await control.store.transaction((trx) => accountOf(control, trx));
    const client = await openClient({ directory, ca, account });
    await this.#attempt(register(control, client, account));
    const { key, order } = await this.#order(client);
    const authority = new URL(directory).host;
    const write = (challenge: string): Promise<void> => this.#write({ challenge });
    const proving = { control, client, authority, write, signal: this.#signal };
    const valid = await until(
      `${authority} to issue the certificate`,
      async (): Promise<Order | null> => {
        const now = await this.#attempt(client.getOrder(order));
        if (now.status === 'valid') return now;
        if (now.status === 'invalid') {
          await this.#write({ issuance: null });
          throw described(authority, now.error, 'the order is not valid any more');
        }
        if (now.status === 'pending') await prove(proving, now);
        if (now.status === 'ready') await this.#attempt(client.finalizeOrder(now, await signingRequest(host, key)));
        return null;
      },
      { signal: this.#signal },
    );
    const chain = await this.#attempt(client.getCertificate(valid));
    return checkCertificate(host, chain, key);
  }

  /** The order under way, or a new one. */
  async #order(client: AcmeClient): Promise<{ key: string; order: Order }> {
    const { host, issuance } = this.#row;
    const { sealer, settings } = this.#control;
    const { directory } = settings.acme;
    const begun = issuance === null ? null : (JSON.parse(sealer.open(issuance, issuancePlace(host))) as Issuance);
    // After the configuration named another authority the one before is not asked any more: it may be gone.
    if (begun?.directory === directory) {
      const { order: url, key } = begun;
      const order = await this.#attempt(client.getOrder({ url } as Order)).catch(unlessRefused);
      if (order && order.status !== 'invalid') return { key, order };
    }
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const order = await this.#attempt(client.createOrder({ identifiers: [{ type: 'dns', value: host }] }));
    const state: Issuance = { directory, order: order.url, key };
    await this.#write({ issuance: sealer.seal(JSON.stringify(state), issuancePlace(host)) });
    return { key, order };
  }

  #attempt<T>(request: Promise<T>): Promise<T> {
    return unlessStopped(this.#signal, request);
  }

  async succeed({ chain, key, notBefore, notAfter }: Checked): Promise<void> {
    const { sealer, events } = this.#control;
    const { host } = this.#row;
    await this.#write({
      ...{ chain, key: sealer.seal(key, certificatePlace(host)), not_after: notAfter },
      ...{ next_at: renewAt(notBefore, notAfter), attempts: 0, message: null, challenge: null, issuance: null },
    });
    const expires = new Date(notAfter).toISOString();
    await events.record({
      kind: 'cert.issued',
      actor: 'platform',
      target: host,
      message: `certificate of ${host} issued, it expires on ${expires.slice(0, 10)}`,
      details: { host, expires },
    });
  }

  async fail(thrown: unknown): Promise<void> {
    const { events, logger } = this.#control;
    const { host, attempts } = this.#row;
    const isTold = thrown instanceof AuthorityError || thrown instanceof PaasError;
    if (!isTold) logger.error('asking for a certificate failed by a bug', thrown, { host });
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const failure = thrown instanceof AuthorityError ? thrown : null;
    if (failure?.type === 'accountDoesNotExist') await forgetRegistration(this.#control);
    const wait = retryAfter(attempts + 1, failure?.retryAfterMs);
    const next = Date.now() + wait;
    try {
      // An order whose certificate cannot be used is of no use either.
      const order = failure ? {} : { issuance: null };
      await this.#write({ next_at: next, attempts: attempts + 1, message, challenge: null, ...order });
    } catch (error) {
      if (error instanceof Overtaken) return;
      throw error;
    }
    await events.record({
      kind: 'cert.failed',
      actor: 'platform',
      target: host,
      message: `no certificate for ${host}: ${message}`,
      details: { host, attempts: attempts + 1, nextAt: new Date(next).toISOString() },
    });
  }

  /** @throws Overtaken where somebody changed or removed the certificate meanwhile */
  async #write(change: Partial<CertificateRow>): Promise<void> {
    const { numUpdatedRows } = await this.#control.store.db
      .updateTable('certificates')
      .set({ ...change, updated_at: Date.now() })
      .where('host', '=', this.#row.host)
      .where('source', '=', 'acme')
      .where('next_at', '=', this.#row.next_at)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new Overtaken();
    this.#control.wake.routes();
  }
}

/** The authority forgot the order: it is made anew. */
function unlessRefused(error: unknown): null {
  if (error instanceof AuthorityError && error.type !== null) return null;
  throw error;
}
