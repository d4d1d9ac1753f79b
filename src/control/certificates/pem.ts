/** Certificates and private keys as people hand them over, checked before a router gets them. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { PaasError } from '../../shared/errors.ts';
import { strongContext } from '../../shared/tls.ts';

export interface Checked {
  /** PEM, the leaf first, nothing but certificates. */
  chain: string;
  /** PEM, PKCS #8. */
  key: string;
  notBefore: number;
  notAfter: number;
  /** What is allowed, but seldom meant. */
  warnings: string[];
}

/**
 * What may be shown for `host`. Text around the PEM blocks is left out, so that files with both parts in them work.
 * @param host as `parseHost` gives it
 * @throws PaasError certificate_invalid saying what is wrong, never quoting the key
 */
export function checkCertificate(host: string, chainText: string, keyText: string, now = Date.now()): Checked {
  const chain = readChain(chainText);
  const key = readKey(keyText);
  const [leaf] = chain as [X509Certificate];
  if (!leaf.checkPrivateKey(key)) throw strangeKey(chain, key);
  checkOrder(chain);
  const names = namesOf(leaf);
  if (!covers(leaf, host)) {
    const list = names.length === 0 ? 'no name at all' : names.join(', ');
    throw invalid(`The certificate does not hold for ${host}: it holds for ${list}.`, {
      hint: host.startsWith('*.')
        ? `It needs the name ${host} itself.`
        : 'Add it for one of its own names, or get one with this name (a subject alternative name).',
    });
  }
  const { notBefore, notAfter } = lifeOf(leaf);
  if (notAfter <= now) {
    throw invalid(`The certificate has expired on ${day(notAfter)}.`, { hint: 'Get a new one from its issuer.' });
  }
  if (notBefore > now) throw invalid(`The certificate holds only from ${day(notBefore)} on.`, { hint: clockHint });
  const pem = chain.map((certificate) => certificate.toString().trim() + '\n').join('');
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  tryIt(pem, keyPem);
  const isAlone = chain.length === 1 && !leaf.checkIssued(leaf);
  const warnings = isAlone
    ? [`The file has no certificate of ${issuerOf(leaf)}, its issuer: clients may not trust it without.`]
    : [];
  return { chain: pem, key: keyPem, notBefore, notAfter, warnings };
}

/** All certificates of a text. @throws PaasError certificate_invalid */
export function readChain(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) {
    throw invalid('There is no certificate in the file.', {
      hint: 'It is to be PEM: `-----BEGIN CERTIFICATE-----`. From DER: `openssl x509 -inform DER -in FILE`.',
    });
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw invalid(`Certificate ${index + 1} of the file cannot be read: it is damaged.`, { cause });
    }
  });
}

/** @throws PaasError certificate_invalid, without the parser's words: they may quote the key */
function readKey(text: string): KeyObject {
  const block = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(text);
  if (!block) {
    throw invalid('There is no private key in the key file.', {
      hint: 'It is to be PEM: `-----BEGIN PRIVATE KEY-----`.',
    });
  }
  if (block[1] === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(block[0])) {
    throw invalid('The private key is protected by a passphrase, which nobody could type when a router starts.', {
      hint: 'Take it off, the platform seals the key itself: `openssl pkey -in KEY -out KEY.plain`.',
    });
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(block[0]);
  } catch {
    throw invalid('The private key cannot be read: it is damaged.');
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (!['rsa', 'ec', 'ed25519'].includes(type ?? '')) throw invalid(`Keys of type ${type ?? '?'} are not for TLS.`);
  if (type === 'rsa' && (details?.modulusLength ?? 0) < 2048) {
    throw invalid(`The RSA key has only ${details?.modulusLength ?? 0} bits; it needs 2048 or more.`, {
      hint: 'Make a new key, and get a certificate for it.',
    });
  }
  return key;
}

function strangeKey(chain: readonly X509Certificate[], key: KeyObject): PaasError {
  const at = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (at > 0) return wrongOrder(`the key belongs to certificate ${at + 1}, which is to be the first`);
  return invalid(`The private key does not belong to the certificate (of ${namesOf(chain[0]!).join(', ') || 'no name'}).`, {
    hint: 'Give the key that the certificate was asked for with.',
  }); // prettier-ignore
}

function checkOrder(chain: readonly X509Certificate[]): void {
  for (const [index, certificate] of chain.entries()) {
    const next = chain[index + 1];
    if (!next || (certificate.checkIssued(next) && certificate.verify(next.publicKey))) continue;
    const issuer = issuerOf(certificate);
    throw wrongOrder(`certificate ${index + 2} is not that of ${issuer}, which issued certificate ${index + 1}`);
  }
}

const wrongOrder = (why: string): PaasError =>
  invalid(`The certificates are not in order: ${why}.`, {
    hint: 'First the one for the host, then that of its issuer, and so on: `cat host.pem intermediate.pem`.',
  });

function covers(leaf: X509Certificate, host: string): boolean {
  if (host.startsWith('*.')) return namesOf(leaf).includes(host);
  return leaf.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined;
}

/** DNS names and addresses of a certificate, in lower case. */
export function namesOf(certificate: X509Certificate): string[] {
  const texts = (certificate.subjectAltName ?? '').split(', ');
  return texts.flatMap((text) => {
    const name = /^(?:DNS|IP Address):([^"]+)$/.exec(text)?.[1];
    return name === undefined ? [] : [name.toLowerCase()];
  });
}

/** Whom a certificate is from: `R11 (Let's Encrypt)`. */
export function issuerOf(certificate: X509Certificate): string {
  const field = (name: string): string | undefined => new RegExp(`^${name}=(.+)$`, 'm').exec(certificate.issuer)?.[1];
  const [name, organisation] = [field('CN'), field('O')];
  if (name !== undefined && organisation !== undefined && name !== organisation) return `${name} (${organisation})`;
  return name ?? organisation ?? certificate.issuer.replaceAll('\n', ', ');
}

export const lifeOf = (certificate: X509Certificate): { notBefore: number; notAfter: number } => ({
  notBefore: Date.parse(certificate.validFrom),
  notAfter: Date.parse(certificate.validTo),
});

/** What only OpenSSL knows: signatures and curves that it would refuse in a router, too. */
function tryIt(cert: string, key: string): void {
  try {
    strongContext({ cert, key });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/^error:[^:]*:[^:]*:[^:]*:/, '') : String(cause);
    throw invalid(`A router could not show the certificate: ${reason}.`, { cause });
  }
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
const clockHint = 'Wait until then, or set the clock of the control plane.';

const invalid = (message: string, options: ConstructorParameters<typeof PaasError>[2] = {}): PaasError =>
  new PaasError('certificate_invalid', message, options);
