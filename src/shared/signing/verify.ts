/**
 * Verifying a request: parse strictly, insist on what must be covered, compare in constant time, then time and nonce.
 * The body is checked apart (digest.ts), while it is read.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { PaasError } from '../errors.ts';
import {
  ComponentError,
  headerValue,
  requiredComponents,
  signatureBase,
  signBase,
  type SignableRequest,
} from './base.ts';
import { FieldSyntaxError, parseDictionary, type InnerList } from './fields.ts';
import type { NonceStore } from './nonces.ts';
import { alwaysHasBody, coveredHeaders, signatureAlgorithm, signatureTag } from './sign.ts';

export interface VerifyOptions {
  /** The key's secret, or null when no such key is known (or it was revoked). */
  lookup(keyId: string): string | Uint8Array | null | Promise<string | Uint8Array | null>;
  nonces: NonceStore;
  /** Milliseconds since 1970. */
  now?: number;
  /** How far `created` may lie from `now`, in seconds, either way. */
  windowS?: number;
}

/** A stand-in secret, so that an unknown key takes as long as a known one. */
const nobody = randomBytes(32);

const maxHeaderLength = 8192;

/**
 * Whose request it is. Throws `not_authenticated` (no, malformed, incomplete, wrong, expired or replayed signature,
 * unknown key) or `clock_skew` with details `{serverTime, skewSeconds}` (negative: the sender's clock is behind).
 */
export async function verifyRequest(request: SignableRequest, options: VerifyOptions): Promise<{ keyId: string }> {
  const now = options.now ?? Date.now();
  const windowS = options.windowS ?? 300;
  const { input, signature } = readSignature(request);
  const parameters = readParameters(input);
  checkCoverage(request, input);

  const secret = await options.lookup(parameters.keyId);
  const expected = signBase(baseOf(request, input), secret ?? nobody);
  const matches = signature.length === expected.length && timingSafeEqual(signature, expected);
  if (secret === null) throw refused(`the platform does not know the key ${parameters.keyId}`);
  if (!matches) throw refused('the signature is wrong: another secret, or the request was changed on its way');

  checkTime(parameters, now, windowS);
  const expiresAt = Math.min(parameters.expires, parameters.created + windowS) * 1000 + 999;
  if (!(await options.nonces.use(parameters.keyId, parameters.nonce, expiresAt))) {
    throw refused('this very request was received before (its nonce is used)', 'Sign every request anew.');
  }
  return { keyId: parameters.keyId };
}

interface SignatureParameters {
  created: number;
  expires: number;
  nonce: string;
  keyId: string;
}

function refused(message: string, hint?: string, cause?: unknown): PaasError {
  return new PaasError('not_authenticated', message, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The one signature with our tag, among those that the request carries. */
function readSignature(request: SignableRequest): { input: InnerList; signature: Uint8Array } {
  const inputs = readDictionary(request, 'signature-input');
  const signatures = readDictionary(request, 'signature');
  const ours: { input: InnerList; label: string }[] = [];
  for (const [label, member] of inputs) {
    if ('items' in member && member.parameters.get('tag') === signatureTag) ours.push({ input: member, label });
  }
  const [found, second] = ours;
  if (!found) throw refused(`the request has no signature with tag="${signatureTag}"`);
  if (second) throw refused(`the request has several signatures with tag="${signatureTag}"`);
  const signature = signatures.get(found.label);
  if (!signature || !('value' in signature) || !(signature.value instanceof Uint8Array)) {
    throw refused(`the Signature header has no signature named ${found.label}`);
  }
  return { input: found.input, signature: signature.value };
}

function readDictionary(request: SignableRequest, name: string): ReturnType<typeof parseDictionary> {
  const text = headerValue(request.headers, name);
  if (text === undefined) throw refused('the request is not signed');
  if (text.length > maxHeaderLength) throw refused(`the header ${name} is longer than ${maxHeaderLength} characters`);
  try {
    return parseDictionary(text);
  } catch (error) {
    if (error instanceof FieldSyntaxError) throw refused(`the header ${name} cannot be read: ${error.message}`);
    throw error;
  }
}

function readParameters(input: InnerList): SignatureParameters {
  const text = (name: string): string => {
    const value = input.parameters.get(name);
    if (typeof value !== 'string' || value === '') throw refused(`the signature has no ${name}`);
    if (value.length > 256) throw refused(`the signature's ${name} is too long`);
    return value;
  };
  const seconds = (name: string): number => {
    const value = input.parameters.get(name);
    if (typeof value !== 'number') throw refused(`the signature has no ${name}`);
    return value;
  };
  if (text('alg') !== signatureAlgorithm) throw refused(`the signature's alg must be ${signatureAlgorithm}`);
  return { created: seconds('created'), expires: seconds('expires'), nonce: text('nonce'), keyId: text('keyid') };
}

function checkCoverage(request: SignableRequest, input: InnerList): void {
  const covered = new Set(input.items.map((item) => item.value));
  const required: string[] = [
    ...requiredComponents,
    ...coveredHeaders.filter((name) => headerValue(request.headers, name) !== undefined),
  ];
  if (mayHaveBody(request)) required.push('content-digest');
  const missing = required.filter((name) => !covered.has(name));
  if (missing.length > 0) throw refused(`the signature does not cover ${missing.join(', ')}`);
}

function mayHaveBody(request: SignableRequest): boolean {
  if (alwaysHasBody(request.method)) return true;
  if (headerValue(request.headers, 'transfer-encoding') !== undefined) return true;
  return (headerValue(request.headers, 'content-length') ?? '0') !== '0';
}

function baseOf(request: SignableRequest, input: InnerList): string {
  try {
    return signatureBase(request, input);
  } catch (error) {
    if (error instanceof ComponentError || error instanceof FieldSyntaxError) {
      throw refused(`the signature cannot be checked: ${error.message}`, undefined, error);
    }
    throw error;
  }
}

function checkTime(parameters: SignatureParameters, now: number, windowS: number): void {
  const skewSeconds = parameters.created - Math.floor(now / 1000);
  if (Math.abs(skewSeconds) > windowS) {
    const direction = skewSeconds < 0 ? 'behind' : 'ahead of';
    throw new PaasError(
      'clock_skew',
      `the clock of this machine is ${spell(Math.abs(skewSeconds))} ${direction} the server's`,
      { details: { serverTime: new Date(now).toISOString(), skewSeconds } },
    );
  }
  if (parameters.expires * 1000 < now) {
    throw refused('the signature has expired', 'Sign every request anew, just before it is sent.');
  }
}

/** 603 -> `10 min 3 s`; 90000 -> `1 d 1 h`. The two largest units are enough to act on. */
function spell(seconds: number): string {
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ];
  const parts: string[] = [];
  let rest = seconds;
  for (const [name, size] of units) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(' ');
}
