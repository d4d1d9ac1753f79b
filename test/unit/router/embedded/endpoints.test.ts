import { describe, expect, it } from 'vitest';
import { choose, Endpoints, LiveEndpoint } from '../../../../src/router/embedded/endpoints.ts';
import { ReleaseCounter } from '../../../../src/router/embedded/traffic.ts';

const record = (port: number) => ({
  instance: `i${port}`,
  name: `web.${port}`,
  release: 1,
  address: '127.0.0.1',
  port,
});
const live = (open: number, port: number): LiveEndpoint =>
  Object.assign(new LiveEndpoint(record(port), new ReleaseCounter('a', 1)), { open });

describe('choose', () => {
  it('takes the fewest open, ties at random', () => {
    const endpoints = [live(2, 1), live(1, 2), live(1, 3)];
    const seen = new Set([0, 0.99].map((number) => choose(endpoints, [], 0, Infinity, () => number)?.port));
    expect(seen).toEqual(new Set([2, 3]));
  });

  it('passes over what was tried, and over what failed a moment ago while there is another', () => {
    const [a, b] = [live(0, 1), live(5, 2)];
    a.avoidUntil = 100;
    expect(choose([a, b], [], 50)).toBe(b);
    expect(choose([a, b], [b], 50)).toBe(a);
    expect(choose([a, b], [], 150)).toBe(a);
    expect(choose([a, b], [a, b], 50)).toBeNull();
    expect(choose([], [], 0)).toBeNull();
  });

  it('compares two random ones of many', () => {
    const many = Array.from({ length: 100 }, (_, i) => live(i, i + 1));
    const numbers = [0.5, 0.25];
    expect(choose(many, [], 0, Infinity, () => numbers.shift()!)?.port).toBe(26);
  });
});

describe('Endpoints', () => {
  const table = (...ports: number[]) => ({
    backends: { b: { app: 'p/e/a', appId: 'a', state: 'serving' as const, endpoints: ports.map(record) } },
  });

  it('keeps counts across tables and forgets drained endpoints', () => {
    const endpoints = new Endpoints();
    endpoints.update(table(1, 2));
    const [first, second] = endpoints.backend('b')!.endpoints;
    first!.open = 2;
    second!.open = 1;
    endpoints.update(table(2, 3));
    expect(endpoints.backend('b')!.endpoints[0]).toBe(second);
    expect(first!.retired).toBe(true);
    expect(endpoints.open()).toEqual({ i1: 2, i2: 1 });
    first!.open = 0;
    expect(endpoints.open()).toEqual({ i2: 1 });
  });

  it('counts an endpoint that came back as the instance it is, old requests included', () => {
    const endpoints = new Endpoints();
    endpoints.update(table(1));
    endpoints.backend('b')!.endpoints[0]!.open = 1;
    endpoints.update(table());
    endpoints.update(table(1));
    endpoints.backend('b')!.endpoints[0]!.open++;
    expect(endpoints.open()).toEqual({ i1: 2 });
  });
});
