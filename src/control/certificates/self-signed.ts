/** Certificates that no authority vouches for: for laptops, and for whoever trusts them by hand. */
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import type { Checked } from './pem.ts';

/** The longest life that all clients accept where somebody trusts one by hand (Apple's limit). */
const lifeMs = 825 * 86_400_000;
/** For clients whose clock is behind. */
const leewayMs = 3_600_000;

/** A new key (P-256) and a certificate for `host`; that of `localhost` holds for the loopback addresses, too. */
export async function selfSigned(host: string, now = Date.now()): Promise<Omit<Checked, 'warnings'>> {
  const x509 = await import('@peculiar/x509');
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const addresses = host === 'localhost' ? ['127.0.0.1', '::1'] : [];
  // Seconds are all that a certificate tells of a time.
  const notBefore = Math.floor((now - leewayMs) / 1000) * 1000;
  const notAfter = notBefore + lifeMs;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      keys,
      signingAlgorithm,
      serialNumber: positive(randomBytes(16)).toString('hex'),
      name: [{ CN: [host.slice(0, 64)] }, { O: ['paas, self-signed'] }],
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: host },
          ...addresses.map((value) => ({ type: 'ip' as const, value })),
        ]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return {
    chain: certificate.toString('pem') + '\n',
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    notBefore,
    notAfter,
  };
}

/** Serial numbers are positive and not padded (RFC 5280, 4.1.2.2). */
function positive(bytes: Buffer): Buffer {
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}
