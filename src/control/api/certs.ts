/** Endpoints of certificates. */
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { RouteTable } from '../../shared/contracts/routes.ts';
import { parseHost } from '../../shared/routes-text.ts';
import { changeAccount } from '../certificates/acme/account.ts';
import { checkCertificate, type Checked } from '../certificates/pem.ts';
import { selfSigned } from '../certificates/self-signed.ts';
import { certificateView, type CertificateRow } from '../certificates/view.ts';
import type { Control } from '../context.ts';
import { certificatePlace } from '../reconcile/table.ts';
import type { Db, Trx } from '../store/open.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { untilInTable } from './routed.ts';

export const certificateEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/certificates',
    summary: 'Certificates by host name, without their keys',
    role: 'viewer',
    response: api.certificatesResponse,
    handle: async ({ control }) => {
      const rows = await control.store.db.selectFrom('certificates').selectAll().orderBy('host').execute();
      return { certificates: rows.map((row) => certificateView(row)) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/certificates/:host',
    summary: 'The certificate of a host name',
    role: 'viewer',
    response: api.certificateView,
    handle: async ({ control, params }) => certificateView(await requireRow(control.store.db, hostOf(params))),
  }),
  endpoint({
    method: 'PUT',
    path: '/v1/certificates/:host',
    summary: 'Give a host name a certificate: an own one, a self-signed one, or one from an ACME authority',
    role: 'developer',
    body: api.certificatePut,
    response: api.certificateAnswer,
    handle: put,
    settle: async ({ control, params, body }) => {
      if (body.source !== 'acme') await untilShown(control, hostOf(params));
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v1/certificates/:host',
    summary: 'Take the certificate of a host name away, with its key',
    role: 'developer',
    handle: remove,
    settle: ({ control, params }) => untilShown(control, hostOf(params)),
  }),
];

type Put = z.infer<typeof api.certificatePut>;

const hostOf = (params: Record<string, string>): string => parseHost(params['host'] ?? '');

async function put(call: Call<Put>): Promise<api.CertificateAnswer> {
  const { control, body, params, principal } = call;
  const host = hostOf(params);
  if (body.source === 'acme' && host.startsWith('*.')) {
    throw new PaasError('unsupported', `An authority gives certificates for ${host} only for a proof by DNS.`, {
      hint: 'The platform proves names by HTTP: ask for each name, or upload a certificate with --cert and --key.',
    });
  }
  const made = body.source === 'acme' ? null : await make(host, body);
  const row = await call.commit(async (trx) => {
    if (body.source === 'acme') await changeAccount(control, trx, body);
    const present = await findRow(trx, host);
    const next = made ? withCertificate(control, host, body.source, made) : askedFor(present);
    await write(trx, host, present, next);
    return answerOf(control, await requireRow(trx, host), made?.warnings ?? []);
  });
  const how = { uploaded: 'added', 'self-signed': 'made, self-signed', acme: 'asked for' }[body.source];
  await control.events.record({
    kind: 'cert.added',
    actor: principal.name,
    target: host,
    message: `certificate of ${host} ${how}`,
    details: { host, source: body.source, expires: row.certificate.expires },
  });
  control.wake.routes();
  // What is due is looked for at the next tick.
  control.wake.waiting();
  return row;
}

async function make(host: string, body: Exclude<Put, { source: 'acme' }>): Promise<Checked> {
  if (body.source === 'uploaded') return checkCertificate(host, body.chain, body.key);
  return { ...(await selfSigned(host)), warnings: [] };
}

type Values = Omit<CertificateRow, 'host' | 'created_at' | 'updated_at'>;
const idle = { next_at: null, attempts: 0, message: null, challenge: null, issuance: null };

function withCertificate(control: Control, host: string, source: string, { chain, key, notAfter }: Checked): Values {
  return { ...idle, source, chain, key: control.sealer.seal(key, certificatePlace(host)), not_after: notAfter };
}

/** What the host has stays until the new one is there. One that is being asked for already is not asked for twice. */
function askedFor(present: CertificateRow | undefined): Values {
  const now = Date.now();
  if (present?.source === 'acme' && present.next_at !== null && present.next_at <= now) return present;
  const { chain = null, key = null, not_after = null } = present ?? {};
  const issuance = present?.issuance ?? null;
  return { ...idle, issuance, source: 'acme', chain, key, not_after, next_at: now };
}

async function write(trx: Trx, host: string, present: CertificateRow | undefined, values: Values): Promise<void> {
  const now = Date.now();
  if (!present) {
    await trx
      .insertInto('certificates')
      .values({ ...values, host, created_at: now, updated_at: now })
      .execute();
    return;
  }
  await trx
    .updateTable('certificates')
    .set({ ...values, updated_at: now })
    .where('host', '=', host)
    .execute();
}

function answerOf(control: Control, row: CertificateRow, warnings: readonly string[]): api.CertificateAnswer {
  const hasPort = control.settings.router.tlsPort !== undefined;
  const noPort = 'The router has no port for TLS, so no client sees the certificate: see `--tls-port` of `paas up`.';
  return { certificate: certificateView(row), warnings: [...warnings, ...(hasPort ? [] : [noPort])] };
}

async function remove(call: Call<unknown>): Promise<unknown> {
  const { control, principal } = call;
  const host = hostOf(call.params);
  const answer = await call.commit(async (trx) => {
    await requireRow(trx, host);
    await trx.deleteFrom('certificates').where('host', '=', host).execute();
    return { host, removed: true };
  });
  await control.events.record({
    kind: 'cert.removed',
    actor: principal.name,
    target: host,
    message: `certificate of ${host} removed`,
    details: { host },
  });
  control.wake.routes();
  return answer;
}

/** Whoever has given or taken a certificate may look at once. Where no router is connected, nobody shows anything. */
async function untilShown(control: Control, host: string): Promise<void> {
  if (control.routing.summary().version < 0) return;
  const wanted = async (): Promise<string | null> => (await findRow(control.store.db, host))?.chain ?? null;
  const chain = await wanted();
  const shown = ({ certificates = [] }: RouteTable): string | null =>
    certificates.find(({ hosts }) => hosts.includes(host))?.chain ?? null;
  await untilInTable(
    control,
    (table) => shown(table) === chain,
    async () => (await wanted()) === chain,
    `the certificate of ${host}`,
  );
}

const findRow = (db: Db | Trx, host: string): Promise<CertificateRow | undefined> =>
  db.selectFrom('certificates').selectAll().where('host', '=', host).executeTakeFirst();

async function requireRow(db: Db | Trx, host: string): Promise<CertificateRow> {
  const row = await findRow(db, host);
  if (row) return row;
  throw new PaasError('not_found', `There is no certificate for ${host}.`, { hint: 'See `paas certs`.' });
}
