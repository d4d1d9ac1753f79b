import { expect, it } from 'vitest';
import { accessLine, readAccessLine, type AccessEntry } from '../../../src/shared/access-line.ts';

const entry: AccessEntry = {
  method: 'GET',
  host: 'shop.test',
  path: '/cart',
  status: 200,
  bytes: 512,
  ms: 12,
  firstMs: 11,
  instance: 'web.1',
  release: 3,
  client: '10.0.0.7',
  requestId: 'r-1',
  traceId: 'a'.repeat(32),
};

it('writes bare what is plain', () => {
  expect(accessLine(entry)).toBe(
    'method=GET host=shop.test path=/cart status=200 bytes=512 ms=12 first_ms=11 instance=web.1 release=3 ' +
      `client=10.0.0.7 request_id=r-1 trace_id=${'a'.repeat(32)}`,
  );
});

it.each([
  ['a forged field', '/ status=500'],
  ['quotes', '/"a" error="x"'],
  ['a backslash', '/\\'],
  ['line breaks', '/\r\nmethod=GET'],
  ["a terminal's commands", '/\x1b[2J\x9b2J\x7f'],
  ['nothing', ''],
])('is one line of the same fields with %s in a value', (_what, text) => {
  for (const name of ['host', 'path', 'client', 'requestId'] as const) {
    const line = accessLine({ ...entry, [name]: text, error: 'no-route' });
    expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    const key = name === 'requestId' ? 'request_id' : name;
    const plain = readAccessLine(accessLine({ ...entry, error: 'no-route' }));
    expect(readAccessLine(line)).toEqual({ ...plain, [key]: text });
  }
});
