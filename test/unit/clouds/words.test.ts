import { describe, expect, it } from 'vitest';
import { classifySpeedycloud, normaliseState } from '../../../src/clouds/speedycloud/words.ts';
import type { HttpResponse } from '../../../src/clouds/http.ts';

const job = (name: string, status: string) => ({ id: 1, name, status });

describe('states of SpeedyCloud', () => {
  it.each([
    ['Created', 'pending'],
    ['Provisioning', 'pending'],
    ['Running', 'running'],
    ['running', 'running'],
    ['Stopped', 'stopped'],
    ['Suspended', 'stopped'],
    ['ERROR', 'error'],
    ['Migrating', 'unknown'],
    ['', 'unknown'],
  ])('%s is %s', (raw, state) => expect(normaliseState(raw, [])).toBe(state));

  it.each([
    ['Running', 'stop', 'running', 'stopping'],
    ['Running', 'stop', 'queue', 'stopping'],
    ['Running', 'stop', 'success', 'running'],
    ['Running', 'stop', 'fail', 'running'],
    ['Running', 'restart', 'running', 'pending'],
    ['Stopped', 'start', 'running', 'pending'],
    ['Stopped', 'Destroy', 'running', 'deleting'],
    ['Provisioning', 'provision', 'running', 'pending'],
    ['Running', 'backup', 'running', 'running'],
  ])('%s with job %s in %s is %s', (raw, name, status, state) =>
    expect(normaliseState(raw, [job('start', 'success'), job(name, status)])).toBe(state),
  );
});

describe('errors of SpeedyCloud', () => {
  const answer = (status: number, error?: string, headers: Record<string, string> = {}): HttpResponse => ({
    status,
    headers,
    body: error === undefined ? '<html>' : JSON.stringify({ error }),
  });

  it.each([
    [answer(401, 'bad key'), 'cloud_auth'],
    [answer(403, 'forbidden'), 'cloud_auth'],
    [answer(401, 'the API-REQUEST-DATE is 20 minutes off'), 'cloud_skew'],
    [answer(404, 'no such server'), 'cloud_not_found'],
    [answer(404), 'cloud_not_found'],
    [answer(409, 'it is Running'), 'conflict'],
    [answer(400, 'the server has a running job'), 'conflict'],
    [answer(400, 'Quota exceeded'), 'cloud_quota'],
    [answer(400, 'insufficient balance'), 'cloud_quota'],
    [answer(500, 'no available resource in this zone'), 'cloud_capacity'],
    [answer(429, 'slow down'), 'cloud_throttled'],
    [answer(400, 'Too Many Requests'), 'cloud_throttled'],
    [answer(503, 'busy', { 'retry-after': '3' }), 'cloud_throttled'],
    [answer(503), 'cloud_failed'],
    [answer(500, 'boom'), 'cloud_failed'],
    [answer(400, 'bad memory'), 'cloud_failed'],
    [answer(302), 'cloud_failed'],
  ])('%j is %s', (response, code) => expect(classifySpeedycloud(response, 0, [])?.code).toBe(code));

  it('tells how long to wait', () => {
    expect(classifySpeedycloud(answer(429, 'x', { 'retry-after': '3' }), 0, [])?.details).toMatchObject({
      retryAfterMs: 3000,
    });
    const inTwoSeconds = new Date(2000).toUTCString();
    expect(classifySpeedycloud(answer(429, 'x', { 'retry-after': inTwoSeconds }), 0, [])?.details).toMatchObject({
      retryAfterMs: 2000,
    });
  });

  it('keeps our key out of what it repeats from the provider, and bounds it', () => {
    const message = classifySpeedycloud(answer(401, `unknown key my-api-key ${'x'.repeat(2000)}`), 0, [
      'my-api-key',
    ])!.message;
    expect(message).not.toContain('my-api-key');
    expect(message.length).toBeLessThan(400);
  });
});
