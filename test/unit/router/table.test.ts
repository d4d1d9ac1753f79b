import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileTable, match as find, normalizeHost, type RouteIndex } from '../../../src/router/table.ts';
import type { HttpRoute } from '../../../src/shared/contracts/routes.ts';

const match = (index: RouteIndex, host: string, path: string): string | null =>
  find(index, host, path)?.backend ?? null;

const backend = { app: 'p/e/a', appId: 'a', state: 'serving' as const, endpoints: [] };

function index(...routes: string[]) {
  const http = routes.map((route): HttpRoute => {
    const slash = route.indexOf('/');
    return { host: route.slice(0, slash), path: route.slice(slash), backend: route };
  });
  return compileTable({ http, tcp: [], backends: Object.fromEntries(routes.map((route) => [route, backend])) });
}

describe('match', () => {
  it('takes the longest prefix at a segment border', () => {
    const routes = index('h/', 'h/a', 'h/a/b', 'h/abc');
    const found = ['/', '/a', '/a/', '/ab', '/a/b', '/a/bc', '/a/b/c', '/abc/d', '/abcd', '//a'].map((path) =>
      match(routes, 'h', path),
    );
    expect(found).toEqual(['h/', 'h/a', 'h/a', 'h/', 'h/a/b', 'h/a', 'h/a/b', 'h/abc', 'h/', 'h/']);
  });

  it('has no root route unless it is given one', () => {
    expect(match(index('h/a'), 'h', '/')).toBeNull();
    expect(match(index('h/a'), 'h', '/ab')).toBeNull();
    expect(match(index('h/a'), 'other', '/a')).toBeNull();
  });

  it('falls back from a host to wildcards, longest suffix first', () => {
    const routes = index('a.x.test/only', '*.x.test/', '*.test/', '*.b.x.test/');
    expect(match(routes, 'a.x.test', '/only/1')).toBe('a.x.test/only');
    expect(match(routes, 'a.x.test', '/else')).toBe('*.x.test/');
    expect(match(routes, 'c.b.x.test', '/')).toBe('*.b.x.test/');
    expect(match(routes, 'x.test', '/')).toBe('*.test/');
    expect(match(routes, 'test', '/')).toBeNull();
  });

  it('agrees with a linear search over random routes', () => {
    const segment = fc.constantFrom('a', 'b', 'ab');
    const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
    const host = fc.constantFrom('x.test', 'a.x.test', 'b.a.x.test', '*.x.test', '*.a.x.test', '*.test');
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(host, path), { selector: (r) => r.join('') }), host, path, (routes, h, p) => {
        const asked = h.replace('*', 'any');
        const rank = ([name]: [string, string]) => (name.startsWith('*') ? name.length : 1000);
        const fits = ([name, prefix]: [string, string]) =>
          (name === asked || (name.startsWith('*') && asked.endsWith(name.slice(1)))) &&
          (prefix === '/' || p === prefix || p.startsWith(`${prefix}/`));
        const best = routes.filter(fits).sort((a, b) => rank(b) - rank(a) || b[1].length - a[1].length)[0];
        expect(match(index(...routes.map((r) => r.join(''))), asked, p)).toBe(best ? best.join('') : null);
      }),
    );
  });

  it('looks a path of ten thousand segments up without trying each', () => {
    expect(match(index('h/a'), 'h', '/a'.repeat(10_000))).toBe('h/a');
    expect(match(index('h/a'), 'h', '/'.repeat(10_000))).toBeNull();
  });
});

describe('compileTable', () => {
  const compile = (route: Partial<HttpRoute>, more: object = {}) =>
    compileTable({
      http: [{ host: 'h', path: '/', backend: 'b', ...route }],
      tcp: [],
      backends: { b: backend },
      ...more,
    });

  it.each([
    [{ backend: 'toString' }], [{ host: 'H' }], [{ host: 'h:80' }], [{ host: '*' }], [{ host: '' }], [{ host: 'a..b' }],
    [{ path: '' }], [{ path: 'a' }], [{ path: '/a/' }], [{ path: '/a?b' }], [{ path: '/a#b' }], [{ path: '/ä' }],
  ])('refuses the route %j', (route) => {
    expect(() => compile(route)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  }); // prettier-ignore

  it('refuses doubles and ports that are none', () => {
    const http = [{ host: 'h', path: '/', backend: 'b' }, { host: 'h', path: '/', backend: 'b' }]; // prettier-ignore
    expect(() => compile({}, { http })).toThrow(/two routes for h/);
    expect(() => compile({}, { tcp: [{ port: 70_000, backend: 'b' }] })).toThrow(/TCP port/);
    expect(() => compile({}, { tcp: [{ port: 1, backend: 'b' }, { port: 1, backend: 'b' }] })).toThrow(/two routes/); // prettier-ignore
    const endpoint = { instance: 'i', name: 'web.1', release: 1, address: 'a', port: 0 };
    expect(() => compile({}, { backends: { b: { ...backend, endpoints: [endpoint] } } })).toThrow(/endpoint a:0/);
  });
});

describe('normalizeHost', () => {
  it.each([
    ['Shop.Test', 'shop.test'], ['shop.test:8080', 'shop.test'], ['shop.test.', 'shop.test'], ['shop.test.:80', 'shop.test'],
    ['127.0.0.1:1', '127.0.0.1'], ['[::1]:80', '[::1]'], ['[::1]', '[::1]'], ['a_b.test', 'a_b.test'], ['h:', 'h'],
    ['', null], [':80', null], ['a b', null], ['a/b', null], ['a@b', null], ['a:b', null], ['a:1:2', null], ['..', null],
    ['-', null], ['é.test', null], ['a'.repeat(254), null],
  ])('%s is %s', (value, host) => {
    expect(normalizeHost(value)).toBe(host);
  }); // prettier-ignore
});
