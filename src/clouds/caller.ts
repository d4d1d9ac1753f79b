/**
 * Calls to a provider's API, with what every driver needs: signing anew at each attempt, one correction of the clock,
 * repeats with back-off and jitter where that does no harm, typed errors, answers parsed by a schema.
 *
 *   never sent ─────────► repeat            throttled ──► wait as told, repeat
 *   broke after sending ─► repeatable: repeat; else cloud_ambiguous
 *   5xx, unreadable ────► repeatable: repeat; else cloud_ambiguous
 *   auth or skew, and the answer's Date differs from ours ─► correct the clock, sign again, once
 */
import type * as z from 'zod/mini';
import { PaasError } from '../shared/errors.ts';
import { equalJitter } from '../shared/jitter.ts';
import { TransportError, type HttpRequest, type HttpResponse, type Transport } from './http.ts';
import type { Clock } from './port.ts';

export interface Call {
  method: HttpRequest['method'];
  /** Path and query below the endpoint's origin. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
  /** Whether carrying it out twice does no harm. */
  repeatable: boolean;
  /** For messages: "list the hosts". */
  what: string;
}

export interface CallerOptions {
  /** For messages: "SpeedyCloud". */
  provider: string;
  /** Origin, without a path. */
  endpoint: string;
  transport: Transport;
  clock: Clock;
  timeoutMs: number;
  /** Headers that sign a call made at this time. */
  sign(call: Call, now: Date): Record<string, string>;
  /** The error that an answer stands for; undefined when it is a success. */
  classify(response: HttpResponse): PaasError | undefined;
}

export interface Caller {
  /** One call, repeated where safe. Resolves with the answer's JSON, parsed. */
  call<T extends z.ZodMiniType>(call: Call, schema: T): Promise<z.infer<T>>;
  /** Provider's clock minus ours, from the last answer that carried a Date. */
  clockOffsetMs(): number;
}

const maxAttempts = 4;
const backOffBaseMs = 200;
const backOffMaxMs = 5_000;
/** A longer wait than this is the caller's to plan: it gets cloud_throttled with retryAfterMs. */
const throttleMaxMs = 10_000;
/** Below this a differing Date is latency and rounding, no skew. */
const skewMinMs = 30_000;

export function createCaller(options: CallerOptions): Caller {
  const { clock, provider } = options;
  /** Added to our clock when signing; set only after a refusal. */
  let correctionMs = 0;
  let observedOffsetMs = 0;

  async function attempt<T extends z.ZodMiniType>(call: Call, schema: T): Promise<z.infer<T>> {
    const response = await options.transport({
      method: call.method,
      url: options.endpoint + call.path,
      headers: { ...call.headers, ...options.sign(call, new Date(clock.now() + correctionMs)) },
      timeoutMs: options.timeoutMs,
      ...(call.body === undefined ? {} : { body: call.body }),
    });
    const date = Date.parse(response.headers['date'] ?? '');
    if (!Number.isNaN(date)) observedOffsetMs = date - clock.now();
    const refusal = options.classify(response);
    if (refusal) throw refusal;
    return parseAnswer(response, schema, call);
  }

  function parseAnswer<T extends z.ZodMiniType>(response: HttpResponse, schema: T, call: Call): z.infer<T> {
    try {
      return schema.parse(JSON.parse(response.body));
    } catch (cause) {
      throw new Unreadable(
        `${provider} gave an unreadable answer (HTTP ${response.status}) when asked to ${call.what}`,
        {
          cause,
        },
      );
    }
  }

  /** How long to wait before the next attempt; throws what the caller shall see when there is none. */
  function delayBefore(attempts: number, thrown: unknown, call: Call): number {
    const failure = explain(thrown, call);
    if (failure.mayRepeat && attempts < maxAttempts) {
      if (failure.retryAfterMs === undefined) return backOff(attempts);
      if (failure.retryAfterMs <= throttleMaxMs) return failure.retryAfterMs + backOff(1);
    }
    throw failure.error;
  }

  function explain(thrown: unknown, call: Call): { error: unknown; mayRepeat: boolean; retryAfterMs?: number } {
    if (thrown instanceof TransportError) {
      const message = `${provider} could not be asked to ${call.what}: ${thrown.message}`;
      const lost = thrown.sent && !call.repeatable;
      const error = new PaasError(lost ? 'cloud_ambiguous' : 'cloud_failed', message, { cause: thrown });
      return { error, mayRepeat: !lost };
    }
    if (thrown instanceof Unreadable) {
      const code = call.repeatable ? 'cloud_failed' : 'cloud_ambiguous';
      return { error: new PaasError(code, thrown.message, { cause: thrown.cause }), mayRepeat: call.repeatable };
    }
    if (!(thrown instanceof PaasError)) return { error: thrown, mayRepeat: false };
    const error = named(thrown, call);
    if (error.code === 'cloud_throttled') {
      const { retryAfterMs } = error.details;
      return { error, mayRepeat: true, ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}) };
    }
    if (error.code === 'cloud_failed' && isServerError(error)) {
      if (call.repeatable) return { error, mayRepeat: true };
      const unsure = new PaasError('cloud_ambiguous', error.message, { details: error.details, cause: thrown });
      return { error: unsure, mayRepeat: false };
    }
    return { error, mayRepeat: false };
  }

  /** The same error, saying what was asked of whom. */
  function named(error: PaasError, call: Call): PaasError {
    const message = `${provider} refused to ${call.what}: ${error.message}`;
    return new PaasError(error.code, message, { hint: error.hint, details: error.details, cause: error });
  }

  /** Whether a refusal may be due to our clock; if so, the correction is taken over. */
  function correctClock(thrown: unknown): boolean {
    if (!(thrown instanceof PaasError) || (thrown.code !== 'cloud_auth' && thrown.code !== 'cloud_skew')) return false;
    if (Math.abs(observedOffsetMs - correctionMs) < skewMinMs) return false;
    correctionMs = observedOffsetMs;
    return true;
  }

  return {
    clockOffsetMs: () => observedOffsetMs,
    async call(call, schema) {
      let corrected = false;
      for (let attempts = 1; ; attempts++) {
        try {
          return await attempt(call, schema);
        } catch (thrown) {
          if (!corrected && correctClock(thrown)) {
            corrected = true;
            continue;
          }
          await clock.sleep(delayBefore(attempts, thrown, call));
        }
      }
    },
  };
}

/** Exponential, and never at once: the signature of a repeat would bear the same time. */
function backOff(attempts: number): number {
  return equalJitter(Math.min(backOffMaxMs, backOffBaseMs * 2 ** (attempts - 1)));
}

function isServerError(error: PaasError): boolean {
  return typeof error.details['status'] === 'number' && error.details['status'] >= 500;
}

/** Retry-After (RFC 9110, 10.2.3) in milliseconds: seconds or an HTTP date. */
export function retryAfterMs(response: HttpResponse, now: number): number | undefined {
  const value = response.headers['retry-after'];
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

class Unreadable extends Error {}
