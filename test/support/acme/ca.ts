/** A certificate authority of a test's own: a root, an intermediate, and leaves by it. */
import { generateKeyPairSync, webcrypto, type KeyObject } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const day = 86_400_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
x509.cryptoProvider.set(webcrypto);

export interface LeafWish {
  names: string[];
  /** Default: from yesterday for 90 days. */
  from?: number;
  to?: number;
  /** Default: a new key. */
  publicKey?: x509.PublicKey;
}

export interface Leaf {
  /** PEM */
  leaf: string;
  intermediate: string;
  /** PEM of the private key; empty where the wish had a public key of its own. */
  key: string;
}

const pem = (certificate: x509.X509Certificate): string => certificate.toString('pem') + '\n';
const makeKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
type Keys = Awaited<ReturnType<typeof makeKeys>>;

export class TestCa {
  readonly root: string;
  readonly intermediate: string;
  readonly #issuer: x509.X509Certificate;
  readonly #key: Keys['privateKey'];
  #serial = 10;

  private constructor(root: x509.X509Certificate, issuer: x509.X509Certificate, key: Keys['privateKey']) {
    this.root = pem(root);
    this.intermediate = pem(issuer);
    this.#issuer = issuer;
    this.#key = key;
  }

  static async make(): Promise<TestCa> {
    const keys = await makeKeys();
    const issuing = await makeKeys();
    const life = { notBefore: new Date(Date.now() - 10 * day), notAfter: new Date(Date.now() + 3650 * day) };
    const extensions = [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ];
    const common = { ...life, extensions, signingAlgorithm: algorithm };
    const name = 'CN=Test Root';
    const root = await x509.X509CertificateGenerator.createSelfSigned({ ...common, keys, name, serialNumber: '01' });
    const issuer = await x509.X509CertificateGenerator.create({
      ...{ ...common, subject: 'CN=Test CA 1, O=Test Trust', issuer: name, serialNumber: '02' },
      ...{ publicKey: issuing.publicKey, signingKey: keys.privateKey },
    });
    return new TestCa(root, issuer, issuing.privateKey);
  }

  async issue({ names, from = Date.now() - day, to = from + 90 * day, publicKey }: LeafWish): Promise<Leaf> {
    const own = publicKey ? null : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${names[0] ?? 'nothing'}`,
      issuer: this.#issuer.subject,
      serialNumber: String(this.#serial++),
      notBefore: new Date(from),
      notAfter: new Date(to),
      publicKey: publicKey ?? spki(own!.publicKey),
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions:
        names.length === 0
          ? []
          : [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))],
    });
    const key = own?.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '';
    return { leaf: pem(certificate), intermediate: this.intermediate, key };
  }
}

const spki = (key: KeyObject): x509.PublicKey => new x509.PublicKey(key.export({ type: 'spki', format: 'der' }));
