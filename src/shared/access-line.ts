/**
 * A request as a line of a router's access log, in logfmt: what routers write and `paas logs --source router` shows.
 *
 *   method=GET host=shop.test path=/cart status=200 bytes=512 ms=12 first_ms=11 instance=web.1 release=3 client=10.0.0.7
 *   request_id=… trace_id=…
 *
 * A value is bare where it has none but visible ASCII characters without `"`, `=` and `\`, else a JSON string
 * whose control characters are escaped, those above ASCII too.
 */

export interface AccessEntry {
  method: string;
  host: string;
  /** Without the query, which may carry secrets. */
  path: string;
  /** 499: the client was gone before there was an answer. */
  status: number;
  /** Content sent to the client. */
  bytes: number;
  /** From the request's head to the end of the answer. */
  ms: number;
  /** From the request's head to the head of the instance's answer; -1 where there was none. */
  firstMs: number;
  /** `web.3`, '' when it reached none. */
  instance: string;
  /** 0 when it reached no instance. */
  release: number;
  /** The client's address. */
  client: string;
  requestId: string;
  /** Of the W3C trace (32 hex digits). */
  traceId: string;
  /** Why the router itself answered, or why a response broke off: a code such as `no-route`, `client-gone`. */
  error?: string | undefined;
}

const bare = /^[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+$/;
/** JSON leaves these as they are, and terminals obey some of them. */
const controls = /[\x7f-\x9f]/g;
const quoted = (text: string): string =>
  JSON.stringify(text).replace(controls, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
const value = (text: string): string => (bare.test(text) ? text : quoted(text));

/**
 * Put together by hand: this runs for every request. A method is a token (RFC 9110, 9.1) and a trace id hexadecimal, so
 * both are bare; one look tells for all the others together whether any is not. No newline at its end.
 */
export function accessLine(entry: AccessEntry): string {
  let { host, path, client, requestId } = entry;
  const empty = host === '' || path === '' || client === '' || requestId === '';
  if (empty || !bare.test(`${host}${path}${client}${requestId}`)) {
    host = value(host);
    path = value(path);
    client = value(client);
    requestId = value(requestId);
  }
  let line = `method=${entry.method} host=${host} path=${path} status=${entry.status} bytes=${entry.bytes} ms=${entry.ms}`;
  if (entry.firstMs >= 0) line += ` first_ms=${entry.firstMs}`;
  if (entry.instance !== '') line += ` instance=${entry.instance} release=${entry.release}`;
  line += ` client=${client} request_id=${requestId} trace_id=${entry.traceId}`;
  return entry.error === undefined ? line : `${line} error=${entry.error}`;
}

const field = /([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?:\s|$)/g;

/** A line's fields by name, as text. What is no field is left out. */
export function readAccessLine(line: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name = '', quoted, plain = ''] of line.matchAll(field)) {
    fields[name] = quoted === undefined ? plain : (JSON.parse(`"${quoted}"`) as string);
  }
  return fields;
}
