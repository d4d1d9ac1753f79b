/** Which certificate is shown to whom: by the name that the client asks for (SNI, RFC 6066, 3). */
import { createHash } from 'node:crypto';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { Certificate } from '../../../shared/contracts/routes.ts';
import { contextOf } from '../../requirements.ts';

/**
 * TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3 (Mozilla's "intermediate"). The same for the
 * listener and for each certificate, since a handshake begins with the one and goes on with the other.
 */
export const secureOptions: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  // Sessions are taken up again whatever certificate they began with.
  sessionIdContext: 'paas-router',
};

/** Contexts by certificate and by name. */
export interface CertificateSet {
  readonly byContent: ReadonlyMap<string, SecureContext>;
  readonly byName: ReadonlyMap<string, SecureContext>;
  /** What is wrong with those that are left out. */
  readonly problems: readonly string[];
}

export const noCertificates: CertificateSet = { byContent: new Map(), byName: new Map(), problems: [] };

/** Makes what handshakes need. A certificate that `before` has too keeps its context. */
export function certificateSet(certificates: readonly Certificate[], before: CertificateSet): CertificateSet {
  const byContent = new Map<string, SecureContext>();
  const byName = new Map<string, SecureContext>();
  const problems: string[] = [];
  for (const certificate of certificates) {
    const { hosts, chain, key } = certificate;
    const content = createHash('sha256').update(chain).update('\0').update(key).digest('base64');
    const known = before.byContent.get(content) ?? byContent.get(content);
    const made = known ? { context: known } : contextOf(certificate, secureOptions);
    if ('problem' in made) {
      problems.push(made.problem);
      continue;
    }
    const { context } = made;
    byContent.set(content, context);
    for (const host of hosts) {
      const name = host.toLowerCase();
      if (!byName.has(name)) byName.set(name, context);
    }
  }
  return { byContent, byName, problems };
}

/** The exact name's, else that of `*.` and the name without its first label (RFC 6125, 6.4.3). */
export function certificateFor({ byName }: CertificateSet, servername: string): SecureContext | undefined {
  const name = servername.toLowerCase();
  const dot = name.indexOf('.');
  return byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined);
}
