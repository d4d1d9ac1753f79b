/** What every router asks of a table beyond its shape and its routes (table.ts), before it takes it. */
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Certificate, GrayRule } from '../shared/contracts/routes.ts';
import { PaasError } from '../shared/errors.ts';
import { compileRules } from '../shared/gray/choose.ts';

/** @throws PaasError `bad_request` for rules that cannot be compiled, naming the app */
export function requireRules(app: string, rules: readonly GrayRule[]): void {
  try {
    compileRules(rules);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PaasError('bad_request', `The route table is invalid: a gray rule of ${app}: ${why}`, { cause });
  }
}

/** @throws PaasError `bad_request` for a certificate or key that cannot be used, naming its hosts */
export function requireCertificate(
  { hosts, chain, key }: Certificate,
  options: SecureContextOptions = {},
): SecureContext {
  try {
    return createSecureContext({ ...options, cert: chain, key });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PaasError('bad_request', `The certificate for ${hosts.join(', ')} cannot be used: ${why}`, {
      hint: 'The chain and its private key are PEM, belong together, and the key has no passphrase.',
      cause,
    });
  }
}
