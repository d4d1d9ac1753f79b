/** What every router asks of rules and certificates of a table, beyond its shape and its routes (table.ts). */
import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { Certificate, GrayRule } from '../shared/contracts/routes.ts';
import { PaasError } from '../shared/errors.ts';
import { compileRules } from '../shared/gray/choose.ts';
import { strongContext } from '../shared/tls.ts';

/** @throws PaasError `bad_request` for rules that cannot be compiled, naming the app */
export function requireRules(app: string, rules: readonly GrayRule[]): void {
  try {
    compileRules(rules);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PaasError('bad_request', `The route table is invalid: a gray rule of ${app}: ${why}`, { cause });
  }
}

/**
 * What handshakes with a certificate need, or why it cannot be shown, which names its hosts. That is a problem for the
 * status and no reason to refuse a table: one app's certificate must not hold up the routes of all.
 */
export function contextOf(
  { hosts, chain, key }: Certificate,
  options: SecureContextOptions = {},
): { context: SecureContext } | { problem: string } {
  try {
    return { context: strongContext({ ...options, cert: chain, key }) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return { problem: `the certificate for ${hosts.join(', ')} cannot be used: ${why}` };
  }
}
