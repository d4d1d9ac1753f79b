import { normalizeHost } from '../../table.ts';
import { HttpError } from './grammar.ts';

export interface Target {
  /** As routes know it. */
  host: string;
  /** Without query. */
  path: string;
  /** What the instance is asked for: origin form, with the query. */
  origin: string;
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/i;

/**
 * What a request is for (RFC 9112, 3.2). Origin form, and absolute form where it agrees with Host; `*` and the authority
 * form (CONNECT) have no meaning for a gateway.
 * @throws HttpError 400 or 405
 */
export function resolveTarget(method: string, target: string, hostHeader: string): Target {
  if (method === 'CONNECT') throw new HttpError(405, 'CONNECT is not allowed here');
  const host = normalizeHost(hostHeader);
  if (host === null) throw new HttpError(400, 'the Host header is not a valid host name');
  let origin = target;
  if (!target.startsWith('/')) {
    const parts = absolute.exec(target);
    if (!parts) throw new HttpError(400, 'the request target is neither a path nor a URL');
    if (normalizeHost(parts[1] ?? '') !== host)
      throw new HttpError(400, 'the URL asked for and the Host header differ');
    const rest = parts[2] ?? '';
    origin = rest.startsWith('/') ? rest : `/${rest}`;
  }
  if (origin.includes('#')) throw new HttpError(400, 'the request target has a fragment');
  const query = origin.indexOf('?');
  return { host, path: query === -1 ? origin : origin.slice(0, query), origin };
}
