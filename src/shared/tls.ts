/** What every certificate of the platform has to meet. */

/**
 * Strength that OpenSSL is asked to insist on, appended to a list of ciphers: RSA keys of 2048 bits, signatures with SHA-2
 * (openssl ciphers(1ssl), SSL_CTX_set_security_level(3ssl)). Node asks for less; Debian's nginx asks for this and does not
 * start with a weaker certificate.
 */
export const securityLevel = '@SECLEVEL=2';
