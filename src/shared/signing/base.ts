/** The signature base of RFC 9421 (2.5): the text that is signed, made of components of a request. */
import { createHmac } from 'node:crypto';
import { serializeInnerList, serializeBare, type InnerList } from './fields.ts';

/** Header names in any case; a list stands for a header that comes several times. */
export type Headers = Readonly<Record<string, string | readonly string[] | number | undefined>>;

/**
 * A request as the sender or the receiver sees it.
 * `url` is absolute (sender), or the raw request target such as `/v1/apps?x=1` (receiver: `request.url` of node:http),
 * then the Host header gives the authority and `scheme` (default http) says which port is the default one.
 */
export interface SignableRequest {
  method: string;
  url: string;
  headers: Headers;
  scheme?: 'http' | 'https';
}

/** What a signature always covers, so that nothing of the request's meaning can be changed. */
export const requiredComponents = ['@method', '@authority', '@path', '@query'] as const;

/** A component that the request does not have, or that cannot be signed. */
export class ComponentError extends Error {}

/** A header's value as it is signed: all its lines, trimmed and joined (RFC 9421, 2.1), or undefined. */
export function headerValue(headers: Headers, name: string): string | undefined {
  const given = Object.hasOwn(headers, name) ? name : Object.keys(headers).find((key) => key.toLowerCase() === name);
  const value = given === undefined ? undefined : headers[given];
  if (value === undefined) return undefined;
  const lines = typeof value === 'object' ? value : [String(value)];
  return lines.map((line) => line.trim()).join(', ');
}

/** The text to sign. The list's items are component names, its parameters those of the signature. */
export function signatureBase(request: SignableRequest, input: InnerList): string {
  const seen = new Set<string>();
  const lines = input.items.map((item) => {
    if (typeof item.value !== 'string') throw new ComponentError('a component name must be a string');
    const name = item.value;
    if (item.parameters.size > 0) throw new ComponentError(`parameters of the component ${name} are not supported`);
    if (seen.has(name)) throw new ComponentError(`the component ${name} comes twice`);
    seen.add(name);
    const value = componentValue(request, name);
    // A line break inside a value could imitate another component.
    if (hasControlCharacter(value)) throw new ComponentError(`the component ${name} has a control character in it`);
    return `${serializeBare(name)}: ${value}`;
  });
  lines.push(`"@signature-params": ${serializeInnerList(input)}`);
  return lines.join('\n');
}

/** HMAC-SHA256 over a signature base (RFC 9421, 3.3.3). A key given as text stands for its UTF-8 bytes. */
export function signBase(base: string, secret: string | Uint8Array): Buffer {
  return createHmac('sha256', secret).update(base).digest();
}

function componentValue(request: SignableRequest, name: string): string {
  switch (name) {
    case '@method':
      return request.method;
    case '@authority':
      return target(request).authority;
    case '@path':
      return target(request).path;
    case '@query':
      return target(request).query;
    default: {
      if (name.startsWith('@') || name !== name.toLowerCase()) {
        throw new ComponentError(`the component ${name} is not supported`);
      }
      const value = headerValue(request.headers, name);
      if (value === undefined) throw new ComponentError(`the header ${name} is signed but missing`);
      return value;
    }
  }
}

const defaultPorts: Record<string, string> = { http: '80', ws: '80', https: '443', wss: '443' };
const absolute = /^(https?|wss?):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?/i;

/** Authority, path and query of RFC 9421, 2.2.3, 2.2.6 and 2.2.7. An absent query is `?`, an empty path `/`. */
function target(request: SignableRequest): { authority: string; path: string; query: string } {
  const found = absolute.exec(request.url);
  if (found) {
    const authority = found[2]!.slice(found[2]!.lastIndexOf('@') + 1);
    return {
      authority: canonicalAuthority(authority, found[1]!.toLowerCase()),
      path: found[3] === '' ? '/' : found[3]!,
      query: found[4] ?? '?',
    };
  }
  if (!request.url.startsWith('/')) throw new ComponentError('the request target is neither a path nor a URL');
  const host = headerValue(request.headers, 'host');
  if (host === undefined) throw new ComponentError('the header host is missing');
  const mark = request.url.indexOf('?');
  return {
    authority: canonicalAuthority(host, request.scheme ?? 'http'),
    path: mark < 0 ? request.url : request.url.slice(0, mark),
    query: mark < 0 ? '?' : request.url.slice(mark),
  };
}

function canonicalAuthority(authority: string, scheme: string): string {
  const lower = authority.toLowerCase();
  const port = /:([0-9]*)$/.exec(lower);
  if (port && (port[1] === '' || port[1] === defaultPorts[scheme])) return lower.slice(0, port.index);
  return lower;
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 32 && code !== 9) || code === 127) return true;
  }
  return false;
}
