import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { createCaller, type Call, type CallerOptions } from '../../../src/clouds/caller.ts';
import { TransportError, type HttpRequest, type HttpResponse } from '../../../src/clouds/http.ts';
import type { PaasError } from '../../../src/shared/errors.ts';
import { classifySpeedycloud } from '../../../src/clouds/speedycloud/words.ts';

type Step = HttpResponse | TransportError;
const ok = (body: unknown = 'fine', headers: Record<string, string> = {}): HttpResponse => ({
  status: 200,
  headers,
  body: JSON.stringify(body),
});
const refuse = (status: number, error: string, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers,
  body: JSON.stringify({ error }),
});
const broken = (sent: boolean) => new TransportError('connection reset', sent);

const read: Call = { method: 'GET', path: '/things', repeatable: true, what: 'list the things' };
const create: Call = { method: 'POST', path: '/things', body: 'a=1', repeatable: false, what: 'create a thing' };

/** A caller whose provider answers with these steps, the last one for ever. Time passes only by sleeping. */
function scripted(steps: Step[], startedAt = 0) {
  let now = startedAt;
  const sent: (HttpRequest & { at: number })[] = [];
  const slept: number[] = [];
  const options: CallerOptions = {
    provider: 'Testcloud',
    endpoint: 'https://cloud.test',
    clock: {
      now: () => now,
      sleep: (ms) => {
        slept.push(ms);
        now += ms;
        return Promise.resolve();
      },
    },
    timeoutMs: 1000,
    sign: (_, date) => ({ 'x-signed-at': String(date.getTime()) }),
    classify: (response) => classifySpeedycloud(response, now, []),
    transport: (request) => {
      const step = steps[Math.min(sent.length, steps.length - 1)]!;
      sent.push({ ...request, at: now });
      return step instanceof TransportError ? Promise.reject(step) : Promise.resolve(step);
    },
  };
  const caller = createCaller(options);
  const outcome = async (call: Call) => {
    try {
      return await caller.call(call, z.string());
    } catch (error) {
      return error as PaasError;
    }
  };
  return { outcome, sent, slept, caller };
}

describe('a call that is answered', () => {
  it('is signed, sent once, and parsed', async () => {
    const { outcome, sent } = scripted([ok('hello')]);
    expect(await outcome(create)).toBe('hello');
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ url: 'https://cloud.test/things', body: 'a=1', headers: { 'x-signed-at': '0' } });
  });

  it('with a refusal of our making is not repeated, and says who refused what', async () => {
    const { outcome, sent } = scripted([refuse(400, 'bad memory')]);
    const error = await outcome(read);
    expect(error).toMatchObject({
      code: 'cloud_failed',
      message: 'Testcloud refused to list the things: bad memory',
      details: { status: 400 },
    });
    expect(sent).toHaveLength(1);
  });
});

describe('a broken connection', () => {
  it('before anything was sent is repeated, also for a create, and each attempt is signed anew', async () => {
    const { outcome, sent } = scripted([broken(false), broken(false), ok()]);
    expect(await outcome(create)).toBe('fine');
    expect(new Set(sent.map((request) => request.headers['x-signed-at'])).size).toBe(3);
  });

  it('that stays broken ends in cloud_failed after four attempts', async () => {
    for (const call of [read, create]) {
      const { outcome, sent } = scripted([broken(false)]);
      expect(await outcome(call)).toMatchObject({ code: 'cloud_failed', message: expect.stringContaining('reset') });
      expect(sent).toHaveLength(4);
    }
  });

  it('after sending is repeated for a read, and cloud_ambiguous for a create, which is never sent twice', async () => {
    const reading = scripted([broken(true), ok()]);
    expect(await reading.outcome(read)).toBe('fine');
    const creating = scripted([broken(true), ok()]);
    expect(await creating.outcome(create)).toMatchObject({ code: 'cloud_ambiguous' });
    expect(creating.sent).toHaveLength(1);
  });
});

describe('an answer that proves nothing', () => {
  const garbage: [string, HttpResponse][] = [
    ['a 500', refuse(500, 'boom')],
    ['a 502 of a proxy', { status: 502, headers: {}, body: '<html>bad gateway</html>' }],
    ['no JSON', { status: 200, headers: {}, body: '<html>welcome</html>' }],
    ['cut JSON', { status: 200, headers: {}, body: '{"id":' }],
    ['nothing', { status: 200, headers: {}, body: '' }],
    ['another shape', ok({ id: 1 })],
  ];
  it.each(garbage)('%s is asked for again by a read, and cloud_ambiguous for a create', async (_, answer) => {
    const reading = scripted([answer, ok()]);
    expect(await reading.outcome(read)).toBe('fine');
    expect(await scripted([answer]).outcome(read)).toMatchObject({ code: 'cloud_failed' });
    const creating = scripted([answer, ok()]);
    expect(await creating.outcome(create)).toMatchObject({ code: 'cloud_ambiguous' });
    expect(creating.sent).toHaveLength(1);
  });
});

describe('throttling', () => {
  it('is waited out as long as the provider says, also by a create: it was refused, so it was not carried out', async () => {
    const { outcome, sent } = scripted([refuse(429, 'slow down', { 'retry-after': '2' }), ok()]);
    expect(await outcome(create)).toBe('fine');
    expect(sent[1]!.at).toBeGreaterThanOrEqual(2000);
  });

  it('without a time is backed off from, longer each time', async () => {
    const { outcome, sent, slept } = scripted([refuse(429, 'slow down')]);
    expect(await outcome(read)).toMatchObject({ code: 'cloud_throttled' });
    expect(sent).toHaveLength(4);
    [200, 400, 800].forEach((most, index) => {
      expect(slept[index]).toBeGreaterThanOrEqual(most / 2);
      expect(slept[index]).toBeLessThanOrEqual(most);
    });
  });

  it('for longer than ten seconds is handed to the caller at once, with the time', async () => {
    const { outcome, sent } = scripted([refuse(429, 'slow down', { 'retry-after': '60' })]);
    expect(await outcome(read)).toMatchObject({ code: 'cloud_throttled', details: { retryAfterMs: 60_000 } });
    expect(sent).toHaveLength(1);
  });
});

describe('a clock that is off', () => {
  const date = (ms: number) => ({ date: new Date(ms).toUTCString() });

  it('is corrected by the answer’s Date, once, and stays corrected', async () => {
    const hour = 3_600_000;
    const { outcome, sent, caller } = scripted([refuse(401, 'the date is off', date(hour)), ok('a', date(hour))]);
    expect(await outcome(create)).toBe('a');
    expect(sent.map((request) => request.headers['x-signed-at'])).toEqual(['0', String(hour)]);
    await outcome(read);
    expect(sent[2]!.headers['x-signed-at']).toBe(String(hour));
    expect(caller.clockOffsetMs()).toBe(hour);
  });

  it('is suspected only when the Date differs', async () => {
    const { outcome, sent } = scripted([refuse(401, 'wrong key', date(5_000))]);
    expect(await outcome(read)).toMatchObject({ code: 'cloud_auth' });
    expect(sent).toHaveLength(1);
  });

  it('is given up on when signing with the provider’s time does not help', async () => {
    const { outcome, sent } = scripted([refuse(401, 'the date is off', date(3_600_000))]);
    expect(await outcome(read)).toMatchObject({ code: 'cloud_skew' });
    expect(sent).toHaveLength(2);
  });
});
