/** Certificates in the HTTP API: what routers show for which host name, where it comes from, and until when it holds. */
import * as z from 'zod/mini';

const iso = z.string();
/** A chain of RSA certificates has some 8 KiB. */
const pem = z.string().check(z.minLength(1), z.maxLength(256 * 1024));

export const certificateView = z.object({
  /** `shop.example.com`, or `*.example.com` for the names one label below. */
  host: z.string(),
  source: z.enum(['uploaded', 'self-signed', 'acme']),
  /** issuing, failed (there is none yet); valid, expiring (within 14 days), expired */
  state: z.enum(['issuing', 'failed', 'valid', 'expiring', 'expired']),
  /** Whom it is from; null while there is none, as all that is read from it. */
  issuer: z.nullable(z.string()),
  /** Names that it holds for. */
  names: z.array(z.string()),
  notBefore: z.nullable(iso),
  expires: z.nullable(iso),
  /** SHA-256 of the leaf, in hex. */
  fingerprint: z.nullable(z.string()),
  /** acme: whether one is being asked for now. */
  issuing: z.boolean(),
  /** acme: when one is asked for (again). */
  renewsAt: z.nullable(iso),
  /** acme: failures since the last success, and why the last one failed. */
  attempts: z.int(),
  message: z.nullable(z.string()),
  createdAt: iso,
  updatedAt: iso,
});
export type CertificateView = z.infer<typeof certificateView>;

/** GET /v1/certificates; GET /v1/certificates/:host; DELETE /v1/certificates/:host */
export const certificatesResponse = z.object({ certificates: z.array(certificateView) });

/** PUT /v1/certificates/:host -> certificateAnswer; what the host had is replaced, with acme only once the new one is there. */
export const certificatePut = z.discriminatedUnion('source', [
  z.object({ source: z.literal('uploaded'), /** PEM, the leaf first. */ chain: pem, /** PEM, without a passphrase. */ key: pem }),
  z.object({ source: z.literal('self-signed') }),
  z.object({
    source: z.literal('acme'),
    /** Where the authority writes to; that of the whole platform's account. */
    email: z.optional(z.string().check(z.regex(/^[^\s@]{1,64}@[^\s@]{1,255}$/))),
    /** Whoever asks agrees to the authority's terms of service. */
    termsAgreed: z._default(z.boolean(), false),
  }),
]); // prettier-ignore
export type CertificatePut = z.input<typeof certificatePut>;

export const certificateAnswer = z.object({ certificate: certificateView, warnings: z.array(z.string()) });
export type CertificateAnswer = z.infer<typeof certificateAnswer>;
