import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PaasError } from '../../../src/shared/errors.ts';
import { formatRoute, parseRoute } from '../../../src/shared/routes-text.ts';

test.each([
  ['shop.example.com', 'shop.example.com', '/'],
  ['Shop.Example.COM', 'shop.example.com', '/'],
  ['shop.example.com.', 'shop.example.com', '/'],
  ['shop.example.com/', 'shop.example.com', '/'],
  ['shop.example.com/api/', 'shop.example.com', '/api'],
  ['shop.example.com//api//v1', 'shop.example.com', '/api/v1'],
  ['shop.example.com/API', 'shop.example.com', '/API'],
  ['*.example.com', '*.example.com', '/'],
  ['*.example.com/a', '*.example.com', '/a'],
  ['shop', 'shop', '/'],
  ['127.0.0.1', '127.0.0.1', '/'],
  ['münchen.de/straße', 'xn--mnchen-3ya.de', '/stra%C3%9Fe'],
  ['xn--mnchen-3ya.de', 'xn--mnchen-3ya.de', '/'],
  ['a.com/%7euser/a%2bb', 'a.com', '/~user/a+b'],
  ['a.com/@me:x', 'a.com', '/@me:x'],
])('%s', (text, host, path) => {
  expect(parseRoute(text)).toEqual({ host, path });
});

test.each([
  ['', 'empty'],
  ['   ', 'empty'],
  ['http://a.com', 'no scheme'],
  ['a.com:8080', 'no port'],
  ['[::1]', 'no port'],
  ['me@a.com', 'no user name'],
  ['a.com?x=1', 'query'],
  ['a.com/x#y', 'fragment'],
  ['a.com/a b', 'blanks'],
  ['a b.com', 'blanks'],
  ['a.com/\u0000', 'control'],
  ['a.com/%00', 'control'],
  ['a.com/%2fetc', 'encoded slash'],
  ['a.com/../etc', '..'],
  ['a.com/%2e%2e/etc', '..'],
  ['a.com/%zz', 'percent-encoding'],
  ['a.com/\ud800', 'Unicode'],
  ['*', 'first label'],
  ['a.*.com', 'first label'],
  ['*a.com', 'first label'],
  ['*.*.com', 'first label'],
  ['*.', 'missing'],
  ['/api', 'missing'],
  ['a..com', 'DNS label'],
  ['-a.com', 'DNS label'],
  ['a_b.com', 'DNS label'],
  [`${'a'.repeat(64)}.com`, 'DNS label'],
  [`${'a.'.repeat(130)}com`, '253'],
  [`a.com/${'x'.repeat(1024)}`, '1024'],
])('%j is refused', (text, reason) => {
  expect(() => parseRoute(text)).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining(reason) }),
  );
});

test('any text gives a route in normal form, or a typed error', () => {
  const parts = fc.constantFrom('a', 'B', '.', '/', '*', '%', '2', 'f', ':', 'é', '-', '..', '\u0000', '\ud800', ' ');
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: parts })), (text) => {
      try {
        const route = parseRoute(text);
        expect(parseRoute(formatRoute(route))).toEqual(route);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(PaasError);
      }
    }),
    { numRuns: 2000 },
  );
});
