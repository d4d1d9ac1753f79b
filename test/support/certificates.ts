/** Certificates that tests make for themselves: one authority a process, and leaves signed by it. */
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type X509Certificate,
} from '@peculiar/x509';
import type { Certificate } from '../../src/shared/contracts/routes.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;
let serial = 0;

interface Authority {
  certificate: X509Certificate;
  keys: webcrypto.CryptoKeyPair;
}

const makeKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const valid = () => ({ notBefore: new Date(Date.now() - dayMs), notAfter: new Date(Date.now() + dayMs) });
const nextSerial = (): string => (++serial).toString(16).padStart(16, '1');

let authority: Promise<Authority> | null = null;

async function makeAuthority(): Promise<Authority> {
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...valid(),
      serialNumber: nextSerial(),
      name: 'CN=Test authority',
      signingAlgorithm: algorithm,
      keys,
      extensions: [new BasicConstraintsExtension(true)],
    },
    webcrypto,
  );
  return { certificate, keys };
}

/** PEM of the authority that clients of tests trust. */
export async function trusted(): Promise<string> {
  return (await (authority ??= makeAuthority())).certificate.toString('pem');
}

/** A certificate for these names (`*.example.com` too), with its key, as a route table has it. Each call makes a new one. */
export const certificateFor = async (...hosts: string[]): Promise<Certificate> => issue(hosts, await makeKeys());

/** One with a key that is too short for OpenSSL of today. */
export async function weakCertificate(...hosts: string[]): Promise<Certificate> {
  const short = { modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) };
  const weak = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', ...short };
  return issue(hosts, await webcrypto.subtle.generateKey(weak, true, ['sign', 'verify']));
}

async function issue(hosts: string[], keys: webcrypto.CryptoKeyPair): Promise<Certificate> {
  const issuer = await (authority ??= makeAuthority());
  const leaf = await X509CertificateGenerator.create(
    {
      ...valid(),
      serialNumber: nextSerial(),
      subject: `CN=${hosts[0]!}`,
      issuer: issuer.certificate.subject,
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      extensions: [new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: 'dns' as const, value })))],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = key.replaceAll(/.{64}(?!$)/g, '$&\n');
  return {
    hosts,
    chain: `${leaf.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}
