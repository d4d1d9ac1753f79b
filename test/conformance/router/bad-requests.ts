import { expect, it } from 'vitest';
import { exchange, fetchText, httpServer, rawClient } from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

export function badRequests(bench: Bench): void {
  /** Serves an app that counts what reaches it. */
  const counting = async () => {
    const seen: string[] = [];
    const app = await httpServer((request, response) => {
      seen.push(request.url ?? '');
      request.resume().on('end', () => response.end('ok'));
    });
    bench.cleanUp.add(app);
    await bench.serve({ b: { servers: [app] } });
    return seen;
  };

  const ok = 'GET / HTTP/1.1\r\nHost: b.test\r\n';
  const refused: [string, string, number | string][] = [
    ['both Content-Length and Transfer-Encoding', 'POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n', 400],
    ['two different Content-Lengths', 'POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    ['a signed Content-Length', 'POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: +1\r\n\r\na', 400],
    ['a list as Content-Length', 'POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 1, 1\r\n\r\na', 400],
    ['an unknown Transfer-Encoding', 'POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
    ['a disguised Transfer-Encoding', 'POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n', 501],
    ['Transfer-Encoding twice', 'POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n', '400|501'],
    ['a blank before the colon', `${ok}Transfer-Encoding : chunked\r\n\r\n`, 400],
    ['a folded header', `${ok}X: a\r\n b\r\n\r\n`, 400],
    ['a bare CR in a value', `${ok}X: a\rTransfer-Encoding: chunked\r\n\r\n`, 400],
    ['a NUL', `${ok}X: a\0b\r\n\r\n`, 400],
    ['no Host', 'GET / HTTP/1.1\r\nX: 1\r\n\r\n', 400],
    ['two Hosts', `${ok}Host: other.test\r\n\r\n`, 400],
    ['a Host that is none', 'GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n', 400],
    ['a Host with a user', 'GET / HTTP/1.1\r\nHost: me@b.test\r\n\r\n', 400],
    ['the target *', 'OPTIONS * HTTP/1.1\r\nHost: b.test\r\n\r\n', 400],
    ['a URL that contradicts Host', 'GET http://other.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n', 400],
    ['CONNECT', 'CONNECT b.test:443 HTTP/1.1\r\nHost: b.test\r\n\r\n', '400|405'],
    ['HTTP/2 in the form of HTTP/1', 'GET / HTTP/2.0\r\nHost: b.test\r\n\r\n', '400|505'],
    ['no HTTP at all', '\x16\x03\x01\x02\0\x01\0\r\n\r\n', 400],
    ['an unknown expectation', `${ok}Expect: miracles\r\n\r\n`, 417],
    ['a header that is too large', `${ok}X: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
    ['a target that is too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: b.test\r\n\r\n`, 414],
  ]; // prettier-ignore
  const strict = !bench.lacks.includes('lines');
  if (strict) refused.push(['a bare LF', `GET / HTTP/1.1\nHost: b.test\r\n\r\n\r\n`, 400]);

  it.each(refused)('refuses %s', async (_what, text, status) => {
    const seen = await counting();
    expect(await exchange(bench.port, Buffer.from(text, 'latin1'))).toMatch(
      new RegExp(`^HTTP/1\\.1 (?:${status}) [^]*close`, 'i'),
    );
    expect(seen).toEqual([]);
  });

  it.each([
    ['a malformed size', 'zz\r\n'],
    ['a negative size', '-1\r\n'],
    ['a chunk longer than its size', '1\r\nabc\r\n'],
    ...(strict ? [['a bare LF behind the size', '1\na\r\n']] : []),
  ])('refuses a chunked body with %s, and the app never sees it whole', async (_what, body) => {
    let whole = false;
    const app = bench.cleanUp.add(
      await httpServer((request, response) => {
        request
          .on('end', () => ((whole = true), response.end('ok')))
          .on('error', () => undefined)
          .resume();
      }),
    );
    await bench.serve({ b: { servers: [app] } });
    const text = await exchange(
      bench.port,
      `POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(whole).toBe(false);
  });

  it('takes an absolute URL that agrees with Host, and asks the app in origin form', async () => {
    const seen = await counting();
    const text = await exchange(
      bench.port,
      'GET http://B.test:80?q=1 HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(seen).toEqual(['/?q=1']);
  });

  it('reads a head that comes a byte at a time, behind empty lines', async () => {
    await counting();
    const client = rawClient(bench.port);
    for (const byte of `\r\n\r\n${ok}\r\n`) client.write(byte);
    expect(await client.until(/ok$/)).toMatch(/^HTTP\/1\.1 200 /);
    client.socket.destroy();
  });

  it('says on its pages what is wrong and what to type', async () => {
    await bench.serve({
      halted: { servers: [], state: 'stopped' },
      fresh: { servers: [], state: 'starting' },
      ill: { servers: [], app: 'store/prod/ill' },
    });
    const page = (host: string, accept = '*/*') => fetchText(bench.url, { headers: { host, accept } });
    const unknown = await page('<x>.test'.replace(/[<>]/g, 'y'));
    expect(unknown.status).toBe(404);
    expect(unknown.body).toContain('yxy.test');
    const stopped = await page('halted.test');
    expect(stopped.status).toBe(503);
    expect(stopped.body).toContain('paas start -a halted');
    expect(await page('fresh.test')).toMatchObject({ status: 503, body: expect.stringContaining('starting') });
    expect((await page('ill.test')).body).toContain('-a ill -p store -e prod');
    const html = await page('ill.test', 'text/html,application/xhtml+xml,*/*;q=0.8');
    expect(html.headers['content-type']).toContain('text/html');
    const json = await page('ill.test', 'text/html;q=0.5, application/json');
    expect(JSON.parse(json.body)).toMatchObject({ error: { code: 'unavailable', details: { app: 'store/prod/ill' } } });
    expect(await fetchText(bench.url, { method: 'HEAD', headers: { host: 'ill.test' } })).toMatchObject({
      status: 503,
      body: '',
    });
  });
}
