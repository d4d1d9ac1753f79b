/** Between the header lists of HTTP/2 (RFC 9113, 8) and the field lines of HTTP/1.1, in which the router thinks. */
import type { OutgoingHttpHeaders } from 'node:http';
import { HttpError, areFieldLines, eachField } from '../http/grammar.ts';

/** Names and values in turn, as node:http2 gives them. */
export type RawHeaders = readonly string[];

/** RFC 9113, 8.2.2: fields of a connection have no place in HTTP/2. */
const ofConnection = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'host',
]); // prettier-ignore

const lineBreak = /[\r\n\0]/;

function eachHeader(raw: RawHeaders, visit: (name: string, value: string) => void): void {
  for (let i = 0; i + 1 < raw.length; i += 2) visit(raw[i]!, raw[i + 1]!);
}

/**
 * Field lines of a header list without its pseudo-headers. Pieces of a cookie become one field again (8.2.3).
 * @param leaveOut names not wanted
 * @throws HttpError 400 for what could not be written as a line
 */
export function fieldLines(raw: RawHeaders, leaveOut: readonly string[] = []): string {
  let lines = '';
  let cookie = '';
  eachHeader(raw, (name, value) => {
    if (name.startsWith(':') || leaveOut.includes(name)) return;
    if (lineBreak.test(value)) throw new HttpError(400, 'a header value has a line break');
    if (name === 'cookie') cookie = cookie === '' ? value : `${cookie}; ${value}`;
    else lines += `${name}: ${value}\r\n`;
  });
  if (cookie !== '') lines += `cookie: ${cookie}\r\n`;
  if (!areFieldLines(lines)) throw new HttpError(400, 'a header line is malformed');
  return lines;
}

const valueOf = (raw: RawHeaders, wanted: string): string | undefined => {
  let found: string | undefined;
  eachHeader(raw, (name, value) => {
    if (name === wanted) found ??= value;
  });
  return found;
};

/**
 * A request's head as HTTP/1.1 would have it. A body of untold length becomes `chunked`.
 * @param ended the stream ended with its head: there is no body
 * @throws HttpError 400 where authority and Host differ, or a length is told of a body that is not there
 */
export function requestText(raw: RawHeaders, ended: boolean): string {
  const authority = valueOf(raw, ':authority');
  const host = valueOf(raw, 'host');
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    throw new HttpError(400, ':authority and the Host header differ');
  }
  const method = valueOf(raw, ':method') ?? '';
  const path = valueOf(raw, ':path') ?? authority ?? '';
  const named = authority ?? host;
  const start = `${method} ${path} HTTP/1.1`;
  if (lineBreak.test(start) || (named !== undefined && lineBreak.test(named))) {
    throw new HttpError(400, 'the request has a line break in its target');
  }
  const length = valueOf(raw, 'content-length');
  if (ended && length !== undefined && length !== '0') throw new HttpError(400, 'the body that was told of is missing');
  let text = `${start}\r\n${named === undefined ? '' : `host: ${named}\r\n`}${fieldLines(raw, ['host'])}`;
  if (!ended && length === undefined) text += 'transfer-encoding: chunked\r\n';
  return text;
}

/**
 * A response's head as HTTP/1.1 would have it. A body of untold length, or one that trailers may follow, is `chunked`.
 * @param ended the stream ended with its head
 * @param bodyless it has no body whatever its length says (HEAD, 204, 304): what it does not tell is not told for it
 */
export function responseFields(raw: RawHeaders, ended: boolean, bodyless: boolean): string {
  if (bodyless) return fieldLines(raw);
  const length = valueOf(raw, 'content-length');
  if (ended) return fieldLines(raw) + (length === undefined ? 'content-length: 0\r\n' : '');
  const trailers =
    valueOf(raw, 'trailer') !== undefined || (valueOf(raw, 'content-type') ?? '').startsWith('application/grpc');
  if (length !== undefined && !trailers) return fieldLines(raw);
  return `${fieldLines(raw, ['content-length'])}transfer-encoding: chunked\r\n`;
}

export interface HeaderList {
  headers: OutgoingHttpHeaders;
  /** The body ends with trailers, perhaps none. */
  chunked: boolean;
  /** The value of Host. */
  host: string;
}

/**
 * Field lines as headers for node:http2: names in lower case, none of the connection's. What is there more than once is
 * joined (RFC 9110, 5.3), as node:http2 refuses several of most names; `Set-Cookie` alone cannot be.
 */
export function headerList(lines: string): HeaderList {
  const headers = Object.create(null) as Record<string, string | string[]>;
  const list: HeaderList = { headers, chunked: false, host: '' };
  eachField(lines, (name, line) => {
    const value = line.slice(name.length + 1).replace(/^[ \t]+|[ \t\r\n]+$/g, '');
    if (name === 'transfer-encoding') list.chunked = true;
    else if (name === 'host') list.host = value;
    if (ofConnection.has(name) || (name === 'te' && value.toLowerCase() !== 'trailers')) return;
    const before = headers[name];
    if (name === 'set-cookie') headers[name] = [...((before as string[] | undefined) ?? []), value];
    else headers[name] = before === undefined ? value : `${String(before)}${name === 'cookie' ? '; ' : ', '}${value}`;
  });
  return list;
}
