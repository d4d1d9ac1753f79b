/** Certificates as scripts and people see them; never their keys. */
import type { CertificateView } from '../../shared/contracts/api.ts';
import type { Schema } from '../store/schema.ts';
import { issuerOf, lifeOf, namesOf, readChain } from './pem.ts';
import { warningMs } from './schedule.ts';

export type CertificateRow = Schema['certificates'];

export function certificateView(row: CertificateRow, now = Date.now()): CertificateView {
  const { host, attempts, message } = row;
  const leaf = row.chain === null ? undefined : readChain(row.chain)[0];
  const isAcme = row.source === 'acme';
  return {
    host,
    source: row.source as CertificateView['source'],
    state: stateOf(row, now),
    issuer: leaf ? issuerOf(leaf) : null,
    names: leaf ? namesOf(leaf) : [],
    notBefore: leaf ? iso(lifeOf(leaf).notBefore) : null,
    expires: isoOrNull(row.not_after),
    fingerprint: leaf ? leaf.fingerprint256.replaceAll(':', '').toLowerCase() : null,
    issuing: isAcme && row.next_at !== null && row.next_at <= now,
    renewsAt: isAcme ? isoOrNull(row.next_at) : null,
    attempts,
    message,
    createdAt: iso(row.created_at),
    updatedAt: iso(row.updated_at),
  };
}

function stateOf(row: CertificateRow, now: number): CertificateView['state'] {
  if (row.chain === null || row.not_after === null) return row.attempts > 0 ? 'failed' : 'issuing';
  if (row.not_after <= now) return 'expired';
  return row.not_after - now <= warningMs ? 'expiring' : 'valid';
}

/** What `paas status` says of them. */
export function certificateWarnings(rows: readonly CertificateRow[], now = Date.now()): string[] {
  return rows.flatMap((row) => {
    const { host, message, attempts } = row;
    const state = stateOf(row, now);
    const failure = attempts === 0 || message === null ? '' : message;
    if (state === 'failed') return [`there is no certificate for ${host} yet: ${failure}`];
    const renewal = failure === '' ? '' : `its renewal failed: ${failure}`;
    if (state === 'expired' || state === 'expiring') {
      const when = iso(row.not_after!).slice(0, 10);
      const ends = state === 'expired' ? `has expired on ${when}` : `expires on ${when}`;
      return [`the certificate of ${host} ${ends}${renewal === '' ? '' : `; ${renewal}`}`];
    }
    return renewal === '' ? [] : [`the certificate of ${host} holds until ${iso(row.not_after!).slice(0, 10)}, but ${renewal}`];
  }); // prettier-ignore
}

const iso = (time: number): string => new Date(time).toISOString();
const isoOrNull = (time: number | null): string | null => (time === null ? null : iso(time));
