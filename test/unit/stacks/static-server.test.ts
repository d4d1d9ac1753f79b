import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseRoot, createSiteServer, type SiteServer } from '../../../src/stacks/static-server/server.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'paas-site-')));
const root = join(directory, 'site');
const css = 'body { color: red }\n'.repeat(50);
const open: SiteServer[] = [];
const lines: string[] = [];

async function serve(pushstate: boolean): Promise<number> {
  const site = createSiteServer({ root, pushstate, log: (line) => lines.push(line) });
  open.push(site);
  site.server.listen(0, '127.0.0.1');
  await once(site.server, 'listening');
  return (site.server.address() as AddressInfo).port;
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

// Not fetch: it would tidy up the paths that these tests are about.
function ask(port: number, path: string, headers: OutgoingHttpHeaders = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, headers, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    request.on('error', reject).end();
  });
}

function write(path: string, content: string | Buffer): void {
  const file = join(root, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, content);
}

let port = 0;
let spa = 0;
beforeAll(async () => {
  write('index.html', '<h1>home</h1>');
  write('404.html', '<h1>lost</h1>');
  write('docs/index.html', '<h1>docs</h1>');
  write('empty/readme.txt', 'x');
  write('style.css', css);
  write('style.css.gz', gzipSync(css));
  write('style.css.br', 'pretend brotli');
  write('app.3f9a2b1c.js', 'x()');
  write('data.bin', '0123456789');
  write('zero.txt', '');
  write('Grüße & mehr.txt', 'hallo');
  write('.env', 'SECRET=1');
  write('.git/config', 'x');
  write('.well-known/security.txt', 'Contact: x');
  write('Staticfile', 'root: .');
  writeFileSync(join(directory, 'outside.txt'), 'outside');
  symlinkSync('../outside.txt', join(root, 'escape.txt'));
  symlinkSync('..', join(root, 'up'));
  symlinkSync('style.css', join(root, 'alias.css'));
  [port, spa] = await Promise.all([serve(false), serve(true)]);
});
afterAll(() => {
  for (const { drain, server } of open) {
    drain();
    server.closeAllConnections();
  }
  rmSync(directory, { recursive: true, force: true });
});

describe('types and bodies', () => {
  it.each([
    ['/', 'text/html; charset=utf-8', '<h1>home</h1>'],
    ['/index.html', 'text/html; charset=utf-8', '<h1>home</h1>'],
    ['/docs/', 'text/html; charset=utf-8', '<h1>docs</h1>'],
    ['/style.css?v=1', 'text/css; charset=utf-8', css],
    ['/alias.css', 'text/css; charset=utf-8', css],
    ['/app.3f9a2b1c.js', 'text/javascript; charset=utf-8', 'x()'],
    ['/data.bin', 'application/octet-stream', '0123456789'],
    ['/zero.txt', 'text/plain; charset=utf-8', ''],
    ['/Gr%C3%BC%C3%9Fe%20%26%20mehr.txt', 'text/plain; charset=utf-8', 'hallo'],
    ['/.well-known/security.txt', 'text/plain; charset=utf-8', 'Contact: x'],
    ['http://example.com/docs/', 'text/html; charset=utf-8', '<h1>docs</h1>'],
  ])('%s is %s', async (path, type, body) => {
    const answer = await ask(port, path);
    expect([answer.status, answer.headers['content-type'], answer.body]).toEqual([200, type, body]);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('answers HEAD with the same headers and no body', async () => {
    const answer = await ask(port, '/style.css', {}, 'HEAD');
    expect([answer.status, answer.headers['content-length'], answer.body]).toEqual([200, String(css.length), '']);
  });

  it('takes no other methods', async () => {
    const answer = await ask(port, '/', {}, 'POST');
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('sends directories to their slash, query kept, and never to another host', async () => {
    expect((await ask(port, '/docs?a=1')).headers.location).toBe('/docs/?a=1');
    expect((await ask(port, '//docs')).headers.location).toBe('/docs/');
  });
});

describe('what is not served', () => {
  it.each([
    '/missing',
    '/empty/',
    '/data.bin/',
    '/.env',
    '/.git/config',
    '/Staticfile',
    '/escape.txt',
    '/up/outside.txt',
    '/../outside.txt',
    '/%2e%2e/outside.txt',
    '/docs/..%2f..%2foutside.txt',
    `/${'a'.repeat(300)}`,
  ])('%s is the 404 page', async (path) => {
    const answer = await ask(port, path, { Range: 'bytes=0-1', 'If-None-Match': '*' });
    expect([answer.status, answer.body]).toEqual([404, '<h1>lost</h1>']);
  });

  it.each(['/%', '/%00', '/%ff'])('%s is a bad request', async (path) => {
    expect((await ask(port, path)).status).toBe(400);
  });
});

describe('caching', () => {
  it('has a tag made of the content, the same whenever and wherever the file was written', async () => {
    const first = (await ask(port, '/data.bin')).headers;
    expect(first.etag).toMatch(/^"[\w-]{27}"$/);
    expect(first['last-modified']).toBeUndefined();
    expect((await ask(port, '/data.bin', { 'If-None-Match': first.etag })).status).toBe(304);
    utimesSync(join(root, 'data.bin'), 1, 1);
    expect((await ask(port, '/data.bin')).headers.etag).toBe(first.etag);
  });

  it('sees that a file of the same size and time has changed', async () => {
    write('swap.txt', 'one');
    utimesSync(join(root, 'swap.txt'), 1, 1);
    const before = (await ask(port, '/swap.txt')).headers.etag;
    rmSync(join(root, 'swap.txt'));
    write('swap.txt', 'two');
    utimesSync(join(root, 'swap.txt'), 1, 1);
    const after = await ask(port, '/swap.txt', { 'If-None-Match': before });
    expect([after.status, after.body]).toEqual([200, 'two']);
  });

  it('is for ever only for names with a hash', async () => {
    const control = async (path: string) => (await ask(port, path)).headers['cache-control'];
    expect(await control('/app.3f9a2b1c.js')).toBe('public, max-age=31536000, immutable');
    expect(await control('/')).toBe('no-cache');
    expect(await control('/style.css')).toBe('no-cache');
  });
});

describe('ranges', () => {
  it.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
  ])('%s', async (range, status, body, contentRange) => {
    const answer = await ask(port, '/data.bin', { Range: range });
    expect([answer.status, answer.body, answer.headers['content-range']]).toEqual([status, body, contentRange]);
  });

  it('beyond the end are refused with the size', async () => {
    const answer = await ask(port, '/data.bin', { Range: 'bytes=20-30' });
    expect([answer.status, answer.headers['content-range']]).toEqual([416, 'bytes */10']);
  });

  it('of another version (If-Range) get the whole file', async () => {
    const headers = { Range: 'bytes=0-1', 'If-Range': '"other"' };
    expect((await ask(port, '/data.bin', headers)).status).toBe(200);
  });
});

describe('precompressed files', () => {
  it.each([
    ['gzip, deflate, br', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0, gzip;q=0.5', 'gzip'],
    ['*', 'br'],
    ['identity', undefined],
  ])('for %s: %s', async (accept, encoding) => {
    const { headers } = await ask(port, '/style.css', { 'Accept-Encoding': accept });
    expect(headers['content-encoding']).toBe(encoding);
    expect(headers['content-type']).toBe('text/css; charset=utf-8');
    expect(headers.vary).toBe('Accept-Encoding');
  });

  it('have tags of their own', async () => {
    const tag = async (accept: string) => (await ask(port, '/style.css', { 'Accept-Encoding': accept })).headers.etag;
    expect(new Set([await tag('br'), await tag('gzip'), await tag('')]).size).toBe(3);
  });

  it('do not make other answers vary', async () => {
    expect((await ask(port, '/data.bin', { 'Accept-Encoding': 'gzip' })).headers.vary).toBeUndefined();
  });
});

describe('pushstate', () => {
  it('answers the paths of an app with its page, and nothing else', async () => {
    const page = await ask(spa, '/users/7');
    expect([page.status, page.body]).toEqual([200, '<h1>home</h1>']);
    expect((await ask(spa, '/old.js')).status).toBe(404);
    expect((await ask(spa, '/.env')).status).toBe(404);
  });
});

describe('the server', () => {
  it('logs a line a request, without the query', async () => {
    await ask(port, '/style.css?token=1');
    expect(lines.some((line) => /^GET \/style\.css 200 \d+ms$/.test(line))).toBe(true);
    expect(lines.join()).not.toContain('token');
  });

  it('drains: idle connections are closed at once, and the server ends', async () => {
    const site = createSiteServer({ root, pushstate: false, log: () => undefined });
    site.server.listen(0, '127.0.0.1');
    await once(site.server, 'listening');
    const socket = connect((site.server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    const closed = Promise.all([once(site.server, 'close'), once(socket, 'close')]);
    site.drain();
    await closed;
    expect(site.server.listening).toBe(false);
  });

  it('serves the first directory with an index.html, and says when there is none', () => {
    expect(chooseRoot(directory, ['public', 'site', '.'])).toBe(root);
    expect(chooseRoot(root, ['dist', 'empty'])).toBe(join(root, 'empty'));
    expect(() => chooseRoot(root, ['dist', 'out'])).toThrow('no directory dist or out');
  });
});
