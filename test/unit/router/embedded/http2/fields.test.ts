import { describe, expect, it } from 'vitest';
import {
  fieldLines,
  headerList,
  requestText,
  responseFields,
} from '../../../../../src/router/embedded/http2/fields.ts';

const get = [':method', 'GET', ':scheme', 'https', ':authority', 'a.test', ':path', '/x?y=1'];

describe('requests of HTTP/2 in the form of HTTP/1.1', () => {
  it('have a request line, Host and their fields in order', () => {
    expect(requestText([...get, 'accept', '*/*', 'x-a', '1', 'x-a', '2'], true)).toBe(
      'GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\nx-a: 1\r\nx-a: 2\r\n',
    );
  });

  it('have one cookie, however many pieces it came in', () => {
    expect(requestText([...get, 'cookie', 'a=1', 'x', '1', 'cookie', 'b=2'], true)).toContain('cookie: a=1; b=2\r\n');
  });

  it('are chunked where no length is told', () => {
    expect(requestText(get, false)).toContain('transfer-encoding: chunked\r\n');
    expect(requestText([...get, 'content-length', '3'], false)).not.toContain('chunked');
  });

  it('name their host once, by :authority or Host', () => {
    expect(requestText([...get, 'host', 'A.test'], true).match(/host:/g)).toHaveLength(1);
    expect(requestText([':method', 'GET', ':path', '/', 'host', 'b.test'], true)).toContain('host: b.test\r\n');
    expect(() => requestText([...get, 'host', 'b.test'], true)).toThrow(/differ/);
  });

  it.each([
    ['a line break in a value', [...get, 'x', 'a\r\nHost: evil']],
    ['a line break in the path', [':method', 'GET', ':authority', 'a.test', ':path', '/\r\nX: 1']],
    ['a line break in the authority', [':method', 'GET', ':authority', 'a\r\nX: 1', ':path', '/']],
    ['a blank in a name', [...get, 'x y', '1']],
    ['a body that is told of and missing', [...get, 'content-length', '5']],
  ])('are refused with %s', (_what, raw) => {
    expect(() => requestText(raw, true)).toThrow();
  });
});

describe('responses', () => {
  it('are chunked where their length is not told, or where trailers may follow', () => {
    expect(responseFields([':status', '200', 'x', '1'], false, false)).toBe('x: 1\r\ntransfer-encoding: chunked\r\n');
    expect(responseFields([':status', '200', 'content-length', '4'], false, false)).toBe('content-length: 4\r\n');
    const grpc = [':status', '200', 'content-type', 'application/grpc+proto', 'content-length', '4'];
    expect(responseFields(grpc, false, false)).toContain('transfer-encoding: chunked');
  });

  it('are empty where they end with their head', () => {
    expect(responseFields([':status', '200', 'grpc-status', '12'], true, false)).toBe(
      'grpc-status: 12\r\ncontent-length: 0\r\n',
    );
  });
});

describe('field lines as a header list', () => {
  it('lose what belongs to a connection, and join what is there twice', () => {
    const lines =
      'Host: a\r\nConnection: close\r\nTE: trailers\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a\r\nset-cookie: b\r\n';
    const { headers, host, chunked } = headerList(`${lines}Transfer-Encoding: chunked\r\n`);
    expect({ ...headers }).toEqual({ te: 'trailers', 'x-a': '1, 2', 'set-cookie': ['a', 'b'] });
    expect([host, chunked]).toEqual(['a', true]);
    expect({ ...headerList('te: gzip\r\n__proto__: x\r\n').headers }).toEqual({ ['__proto__']: 'x' });
  });

  it('keep bytes beyond ASCII', () => {
    const [bytes] = ['\xa0caf\xe9\xa0'];
    expect(headerList(fieldLines(['x', bytes])).headers['x']).toBe(bytes);
  });
});
