import { expect, it } from 'vitest';
import { exchange, fetchText, httpServer } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

/** What `paas logs --source router` and tracing tools put together. */
export function tracing(bench: Bench): void {
  const mirror = async () =>
    bench.cleanUp.add(await httpServer((request, response) => response.end(JSON.stringify(request.headers))));
  const id = '4bf92f3577b34da6a3ce929d0e0e4736';
  const sent = (headers: Record<string, string | string[]>) =>
    fetchText(bench.url, { headers: { host: 't.test', ...headers } }).then(
      ({ body }) => JSON.parse(body) as Record<string, string | undefined>,
    );
  const line = async (file: string, requestId: string) =>
    (await bench.made.accessLog(file)).find(({ request_id }) => request_id === requestId);

  it('passes a trace on with a parent of its own', async () => {
    await bench.serve({ t: { servers: [await mirror()] } });
    const parent = '00f067aa0ba902b7';
    for (const flags of ['01', '00']) {
      const got = await sent({ traceparent: `00-${id}-${parent}-${flags}`, tracestate: 'a=1,b=2' });
      expect(got.traceparent).toMatch(new RegExp(`^00-${id}-[0-9a-f]{16}-${flags}$`));
      expect(got.traceparent).not.toContain(parent);
      expect(got.tracestate).toBe('a=1,b=2');
    }
    // A version of the future.
    const later = await sent({ traceparent: `cc-${id}-${parent}-01-what-comes` });
    expect(later.traceparent).toMatch(new RegExp(`^00-${id}-[0-9a-f]{16}-01$`));
  });

  it.each([
    ['none', undefined],
    ['no hexadecimal one', `00-${'x'.repeat(32)}-00f067aa0ba902b7-01`],
    ['zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['no parent', `00-${id}-${'0'.repeat(16)}-01`],
    ['capitals', `00-${id.toUpperCase()}-00f067aa0ba902b7-01`],
    ['version ff', `ff-${id}-00f067aa0ba902b7-01`],
    ['more than version 00 has', `00-${id}-00f067aa0ba902b7-01-x`],
  ])('begins a trace where the client sent %s', async (_what, traceparent) => {
    await bench.serve({ t: { servers: [await mirror()] } });
    const got = await sent({ ...(traceparent !== undefined && { traceparent }), tracestate: 'a=1' });
    expect(got.traceparent).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/);
    expect(got.traceparent).not.toContain(id);
    expect(got.tracestate).toBeUndefined();
  });

  it('begins a trace where the client sent two', async () => {
    await bench.serve({ t: { servers: [await mirror()] } });
    const one = `traceparent: 00-${id}-00f067aa0ba902b7-01\r\n`;
    const text = await exchange(bench.port, `GET / HTTP/1.1\r\nHost: t.test\r\nConnection: close\r\n${one}${one}\r\n`);
    expect(text).not.toContain(id);
    expect(text).toMatch(/"traceparent":"00-[0-9a-f]{32}-/);
  });

  it('says in the access log who asked, who answered, how long it took and of which trace it is', async () => {
    await bench.serve({ t: { servers: [await mirror()], releases: [7] } });
    const { traceparent } = await sent({ 'x-request-id': 'traced-1', 'x-forwarded-for': '198.51.100.7' });
    await expect.poll(() => line('app_t.log', 'traced-1')).toBeDefined();
    const found = (await line('app_t.log', 'traced-1'))!;
    expect(found).toMatchObject({
      ...{ method: 'GET', host: 't.test', path: '/', status: '200', instance: 'web.1', release: '7' },
      ...{ client: '198.51.100.7', trace_id: traceparent!.slice(3, 35) },
    });
    expect(Number(found.first_ms)).toBeGreaterThanOrEqual(0);
    expect(Number(found.ms)).toBeGreaterThanOrEqual(Number(found.first_ms));
    expect(Number(found.bytes)).toBeGreaterThan(0);
    expect(found.error).toBeUndefined();
  });

  it('logs what no route matched apart from the apps', async () => {
    await bench.serve({ t: { servers: [await mirror()] } });
    const headers = { host: 'nobody.test', 'x-request-id': 'lost-1' };
    await fetchText(`${bench.url}/a"b c`.replace(' ', '%20'), { headers });
    await expect.poll(() => line('-.log', 'lost-1')).toBeDefined();
    expect(await line('-.log', 'lost-1')).toMatchObject({ host: 'nobody.test', status: '404', error: 'no-route' });
    expect(await line('-.log', 'lost-1')).not.toHaveProperty('instance');
    expect(await line('app_t.log', 'lost-1')).toBeUndefined();
  });

  it('logs a client that went away before its answer', async () => {
    let asked: (() => void) | undefined;
    const reached = new Promise<void>((resolve) => (asked = resolve));
    await bench.serve({ t: { servers: [bench.cleanUp.add(await httpServer(() => asked?.()))] } });
    const controller = new AbortController();
    const gone = fetchText(bench.url, {
      headers: { host: 't.test', 'x-request-id': 'gone-1' },
      signal: controller.signal,
    }).catch(() => 'gone');
    await reached;
    controller.abort();
    expect(await gone).toBe('gone');
    await expect.poll(() => line('app_t.log', 'gone-1')).toMatchObject({ status: '499', error: 'client-gone' });
  });
}
