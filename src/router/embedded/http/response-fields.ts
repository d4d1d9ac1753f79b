/** From the head that an instance answered to the head that the client gets; the counterpart of request-fields. */
import { chunked, parseLength, untilClose, type Framing } from './body.ts';
import { FieldNames, HttpError, eachField, listElements, type ResponseHead } from './grammar.ts';
import { withoutNamed } from './request-fields.ts';

export interface ResponseFacts {
  framing: Framing;
  /** The instance keeps the connection open behind this response. */
  keepAlive: boolean;
  /** Seconds that it says it keeps an idle connection (`Keep-Alive: timeout=5`); 0 when it does not say. */
  keepAliveTimeout: number;
  /** Upgrade header of a 101 or 426. */
  upgrade: string;
  hasDate: boolean;
  hasRequestId: boolean;
  /** Content-Length as sent, also where there is no body (HEAD, 304). */
  length: number | null;
  passed: string;
}

const known = new FieldNames([
  'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te', 'date',
  'x-request-id',
]); // prettier-ignore

/** @throws HttpError (502) where the end of the body could be read in more than one way */
export function responseFacts(head: ResponseHead, method: string): ResponseFacts {
  const facts: ResponseFacts = {
    framing: 0,
    keepAlive: head.minor === 1,
    keepAliveTimeout: 0,
    upgrade: '',
    hasDate: false,
    hasRequestId: false,
    length: null,
    passed: '',
  };
  let coding = '';
  let connection = '';
  facts.passed = known.filter(head.fields, (name, value) => {
    switch (name) {
      case 'date':
        return (facts.hasDate = true);
      case 'x-request-id':
        return (facts.hasRequestId = true);
      case 'content-length':
        facts.length = sameLength(facts.length, parseLength(value));
        break;
      case 'transfer-encoding':
        coding = coding === '' ? value.toLowerCase() : `${coding}, ${value.toLowerCase()}`;
        break;
      case 'connection':
        connection = connection === '' ? value : `${connection},${value}`;
        break;
      case 'upgrade':
        facts.upgrade = value;
        break;
      case 'keep-alive':
        facts.keepAliveTimeout = Number(/(?:^|[,; ])timeout=([0-9]{1,6})/i.exec(value)?.[1] ?? 0);
        break;
      default: // hop by hop: ends here
    }
    return false;
  });
  if (connection !== '') {
    const options = listElements(connection);
    if (options.includes('close')) facts.keepAlive = false;
    facts.passed = withoutNamed(facts.passed, options);
  }
  facts.framing = framingOf(head, method, coding, facts.length);
  if (facts.framing === untilClose) facts.keepAlive = false;
  return facts;
}

const ambiguous = (what: string): HttpError => new HttpError(502, `it sent ${what}`);

function sameLength(before: number | null, length: number): number {
  if (before !== null && before !== length) throw ambiguous('several Content-Length headers');
  return length;
}

/** RFC 9112, 6.3. */
function framingOf(head: ResponseHead, method: string, coding: string, length: number | null): Framing {
  if (hasNoBody(head.status, method)) return 0;
  if (coding !== '') {
    if (length !== null) throw ambiguous('both Content-Length and Transfer-Encoding');
    if (coding !== 'chunked') throw ambiguous(`the Transfer-Encoding "${coding}", which is not known`);
    return chunked;
  }
  return length ?? untilClose;
}

/** Responses that end with their head, whatever their fields say. */
export function hasNoBody(status: number, method: string): boolean {
  return method === 'HEAD' || status === 204 || status === 304 || status < 200;
}

/** How the client is told where the body ends. */
export interface Delivery {
  framing: Framing;
  keepAlive: boolean;
}

/** @param minor the client's HTTP/1.x; an HTTP/1.0 client knows no chunks, so its connection ends the body */
export function delivery(facts: ResponseFacts, minor: 0 | 1, keepAlive: boolean): Delivery {
  const bounded = facts.framing >= 0;
  if (bounded) return { framing: facts.framing, keepAlive };
  return minor === 1 ? { framing: chunked, keepAlive } : { framing: untilClose, keepAlive: false };
}

/**
 * The head for the client. `requestId` is added unless the app answers one itself.
 * @param added further field lines, each with its CRLF
 */
export function clientHead(
  head: ResponseHead,
  facts: ResponseFacts,
  to: Delivery,
  minor: 0 | 1,
  requestId: string,
  added: string,
): string {
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${facts.passed}${added}`;
  if (!facts.hasDate) text += `Date: ${httpDate()}\r\n`;
  if (!facts.hasRequestId) text += `X-Request-Id: ${requestId}\r\n`;
  if (to.framing === chunked) text += 'Transfer-Encoding: chunked\r\n';
  else if (facts.length !== null && head.status !== 204) text += `Content-Length: ${facts.length}\r\n`;
  if (head.status === 426 && facts.upgrade !== '') text += `Upgrade: ${facts.upgrade}\r\n`;
  if (!to.keepAlive) text += 'Connection: close\r\n';
  else if (minor === 0) text += 'Connection: keep-alive\r\n';
  return `${text}\r\n`;
}

/** A 1xx head, passed on as it is but for hop-by-hop fields. */
export function interimHead(head: ResponseHead, facts: ResponseFacts): string {
  const upgrade = head.status === 101 ? `Connection: Upgrade\r\nUpgrade: ${facts.upgrade}\r\n` : '';
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${facts.passed}${upgrade}\r\n`;
}

let dateText = '';
let dateSecond = -1;

/** Now as an IMF-fixdate, made once a second. */
export function httpDate(now = Date.now()): string {
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(now).toUTCString();
  }
  return dateText;
}

/** Trailer fields that may be passed on: none that would change framing, routing or the connection (RFC 9110, 6.5.1). */
export function passableTrailers(fields: string): string {
  if (fields === '') return '';
  let kept = '';
  eachField(fields, (name, line) => {
    if (!forbiddenTrailers.has(name)) kept += line;
  });
  return kept;
}

const forbiddenTrailers = new Set([
  'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te', 'trailer',
  'host', 'authorization', 'set-cookie', 'cookie', 'content-encoding', 'content-type', 'content-range', 'expect',
  'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'forwarded', 'x-real-ip',
  'x-request-id', 'traceparent', 'tracestate',
]); // prettier-ignore
