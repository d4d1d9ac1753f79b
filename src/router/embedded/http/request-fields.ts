/**
 * From the head that a client sent to the head that an instance gets: hop-by-hop fields go (RFC 9110, 7.6.1, with those
 * that Connection names), framing is made anew, and X-Forwarded-* and X-Real-IP say who asked.
 */
import { randomUUID } from 'node:crypto';
import { chunked, parseLength, type Framing } from './body.ts';
import { FieldNames, HttpError, eachField, listElements, type RequestHead } from './grammar.ts';
import { traceFields, traceOf, type Trace } from './trace.ts';

export interface RequestFacts {
  /** The one Host header, as sent. */
  host: string;
  framing: Framing;
  /** Whether the client will send another request on its connection. */
  keepAlive: boolean;
  /** The Upgrade header's value when the client asks to switch protocols, else ''. */
  upgrade: string;
  expectContinue: boolean;
  /** It accepts trailers. */
  trailers: boolean;
  forwarded: { for: string; proto: string; host: string; port: string; standard: string };
  /** As sent, '' when missing or not sane. */
  requestId: string;
  accept: string;
  trace: Trace;
  /** Field lines to pass on as they are. */
  passed: string;
}

/** Who asks, and through where: what X-Forwarded-* say. */
export interface Hop {
  address: string;
  /** Local port that the client connected to. */
  port: number;
  /** It came with TLS. */
  secure: boolean;
  /** Its own X-Forwarded-* are believed. */
  trusted: boolean;
}

/** Fields with a meaning for this hop; all others are passed on. */
const known = new FieldNames([
  'host', 'content-length', 'transfer-encoding', 'connection', 'upgrade', 'expect', 'te', 'keep-alive',
  'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'http2-settings', 'x-forwarded-for',
  'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'forwarded', 'x-real-ip', 'x-request-id', 'accept',
  'traceparent', 'tracestate',
]); // prettier-ignore
const saneRequestId = /^[A-Za-z0-9._~+/=:@-]{1,200}$/;

const noTrace: Trace = { id: '', parent: '', flags: '', state: '' };

/** @throws HttpError 400 or 501 where framing or host could be read in more than one way */
export function requestFacts(head: RequestHead): RequestFacts {
  const facts: RequestFacts = {
    host: '',
    framing: 0,
    keepAlive: head.minor === 1,
    upgrade: '',
    expectContinue: false,
    trailers: false,
    forwarded: { for: '', proto: '', host: '', port: '', standard: '' },
    requestId: '',
    accept: '',
    trace: noTrace,
    passed: '',
  };
  const forwarded = facts.forwarded;
  let hosts = 0;
  let lengths = 0;
  let codings = 0;
  let transferEncoding = '';
  let connection = '';
  let upgrade = '';
  let traces = 0;
  let traceParent = '';
  let traceState = '';
  const join = (before: string, value: string): string => (before === '' ? value : `${before}, ${value}`);

  facts.passed = known.filter(head.fields, (name, value) => {
    switch (name) {
      case 'host':
        hosts++;
        facts.host = value;
        break;
      case 'content-length':
        lengths++;
        facts.framing = parseLength(value);
        break;
      case 'transfer-encoding':
        codings++;
        transferEncoding = join(transferEncoding, value);
        break;
      case 'connection':
        connection = join(connection, value);
        break;
      case 'upgrade':
        upgrade = join(upgrade, value);
        break;
      case 'expect':
        if (value.toLowerCase() !== '100-continue') throw new HttpError(417, 'only Expect: 100-continue is known');
        facts.expectContinue = head.minor === 1;
        break;
      case 'te':
        facts.trailers ||= listElements(value).includes('trailers');
        break;
      case 'x-forwarded-for':
        forwarded.for = join(forwarded.for, value);
        break;
      case 'x-forwarded-proto':
        forwarded.proto = value;
        break;
      case 'x-forwarded-host':
        forwarded.host = value;
        break;
      case 'x-forwarded-port':
        forwarded.port = value;
        break;
      case 'forwarded':
        forwarded.standard = join(forwarded.standard, value);
        break;
      case 'x-request-id':
        if (saneRequestId.test(value)) facts.requestId = value;
        break;
      case 'accept':
        facts.accept = join(facts.accept, value);
        return true;
      case 'traceparent':
        traces++;
        traceParent = value;
        break;
      case 'tracestate':
        traceState = join(traceState, value);
        break;
      default: // hop by hop, or the router's alone to say: ends here
    }
    return false;
  });

  if (hosts > 1) throw new HttpError(400, 'there is more than one Host header');
  if (hosts === 0) throw new HttpError(400, 'there is no Host header');
  if (lengths > 1) throw new HttpError(400, 'there is more than one Content-Length');
  if (codings > 0) facts.framing = codedFraming(transferEncoding, head, lengths);
  facts.trace = traceOf(traces === 1 ? traceParent : '', traceState);
  if (connection !== '') applyConnection(facts, listElements(connection), upgrade, head);
  return facts;
}

function codedFraming(coding: string, head: RequestHead, lengths: number): Framing {
  if (lengths > 0) throw new HttpError(400, 'there are both Content-Length and Transfer-Encoding');
  if (head.minor === 0) throw new HttpError(400, 'HTTP/1.0 has no Transfer-Encoding');
  if (coding.toLowerCase() !== 'chunked') throw new HttpError(501, 'the only known Transfer-Encoding is chunked');
  return chunked;
}

function applyConnection(facts: RequestFacts, options: string[], upgrade: string, head: RequestHead): void {
  if (options.includes('close')) facts.keepAlive = false;
  else if (options.includes('keep-alive')) facts.keepAlive = true;
  // h2c is never passed on (a tunnel behind it would hide requests from the router), and a request with a body is
  // answered in HTTP/1.1, as RFC 9110, 7.8 allows.
  const wanted = options.includes('upgrade') && facts.framing === 0 && head.minor === 1;
  if (wanted && !listElements(upgrade).some((protocol) => protocol.startsWith('h2c'))) facts.upgrade = upgrade;
  facts.passed = withoutNamed(facts.passed, options);
}

/** Leaves out the field lines that a Connection header names. */
export function withoutNamed(fields: string, options: string[]): string {
  const named = options.filter((option) => option !== 'close' && option !== 'keep-alive' && option !== 'upgrade');
  if (named.length === 0) return fields;
  let kept = '';
  eachField(fields, (name, line) => {
    if (!named.includes(name)) kept += line;
  });
  return kept;
}

/** Who asks: behind a trusted proxy the address that it saw, else that of the connection. */
export function clientAddress({ forwarded }: RequestFacts, hop: Hop): string {
  if (!hop.trusted || forwarded.for === '') return hop.address;
  return forwarded.for.slice(forwarded.for.lastIndexOf(',') + 1).trim();
}

/** The request id that goes with a request: the client's own when it is sane, else a new one. */
export function requestIdOf(facts: RequestFacts): string {
  return facts.requestId === '' ? randomUUID() : facts.requestId;
}

/** The head for the instance. `target` is in origin form. */
export function upstreamHead(method: string, target: string, facts: RequestFacts, hop: Hop, requestId: string): string {
  const { forwarded } = facts;
  let head = `${method} ${target} HTTP/1.1\r\nHost: ${facts.host}\r\n${facts.passed}`;
  head += `X-Real-IP: ${clientAddress(facts, hop)}\r\n`;
  head += `X-Forwarded-For: ${hop.trusted && forwarded.for !== '' ? `${forwarded.for}, ` : ''}${hop.address}\r\n`;
  head += `X-Forwarded-Proto: ${(hop.trusted && forwarded.proto) || (hop.secure ? 'https' : 'http')}\r\n`;
  head += `X-Forwarded-Host: ${(hop.trusted && forwarded.host) || facts.host}\r\n`;
  head += `X-Forwarded-Port: ${(hop.trusted && forwarded.port) || String(hop.port)}\r\n`;
  if (hop.trusted && forwarded.standard !== '') head += `Forwarded: ${forwarded.standard}\r\n`;
  head += `X-Request-Id: ${requestId}\r\n${traceFields(facts.trace)}`;
  if (facts.framing === chunked) head += 'Transfer-Encoding: chunked\r\n';
  else if (facts.framing > 0 || bodyExpected.has(method)) head += `Content-Length: ${facts.framing}\r\n`;
  if (facts.expectContinue) head += 'Expect: 100-continue\r\n';
  if (facts.upgrade !== '') head += `Connection: Upgrade\r\nUpgrade: ${facts.upgrade}\r\n`;
  else if (facts.trailers) head += 'TE: trailers\r\nConnection: TE\r\n';
  return `${head}\r\n`;
}

/** RFC 9110, 8.6: a request of these without a body says so by Content-Length: 0. */
const bodyExpected = new Set(['POST', 'PUT', 'PATCH']);
