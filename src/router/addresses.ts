/** Where routers listen, in the words of URLs, of configuration and of errors. */
import { PaasError } from '../shared/errors.ts';

/** An address as it stands before a port: IPv6 in brackets. */
export const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** The host of a router's URL: one that listens everywhere is reached at `localhost`, too. */
export const urlHost = (address: string): string =>
  address === '0.0.0.0' || address === '::' ? 'localhost' : bracketed(address);

/**
 * Why a router cannot listen.
 * @param code the system's: EADDRINUSE, EACCES, …
 */
export function listenError(code: string, address: string, port: number, cause?: unknown): PaasError {
  const where = `port ${port} on ${address}`;
  if (code === 'EADDRINUSE') {
    return new PaasError('conflict', `The router cannot listen: ${where} is in use by another program.`, {
      hint: `Stop that program (\`ss -ltnp sport = :${port}\` names it), or choose another port with --router-port.`,
      cause,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new PaasError('not_allowed', `The router may not listen on ${where}.`, {
      hint: 'Ports below 1024 need a right; choose a higher one with --router-port.',
      cause,
    });
  }
  return new PaasError('unavailable', `The router cannot listen on ${where}: ${code}.`, { cause });
}
