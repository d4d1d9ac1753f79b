/** What every certificate of the platform has to meet. */
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';

/**
 * Strength that OpenSSL is asked to insist on, appended to a list of ciphers: RSA keys of 2048 bits, signatures with SHA-2
 * (openssl ciphers(1ssl), SSL_CTX_set_security_level(3ssl)). Node asks for less; Debian's nginx asks for this and does not
 * start with a weaker certificate.
 */
const securityLevel = '@SECLEVEL=2';

/** What handshakes with a certificate need. @throws OpenSSL's error, for one that cannot be used or is too weak */
export function strongContext({ ciphers = 'DEFAULT', ...options }: SecureContextOptions): SecureContext {
  return createSecureContext({ ...options, ciphers: `${ciphers}:${securityLevel}` });
}
