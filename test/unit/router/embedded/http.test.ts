import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyDecoder, chunked, untilClose } from '../../../../src/router/embedded/http/body.ts';
import {
  FieldNames,
  HeadReader,
  HttpError,
  parseRequestHead,
  parseResponseHead,
} from '../../../../src/router/embedded/http/grammar.ts';
import { requestFacts, upstreamHead } from '../../../../src/router/embedded/http/request-fields.ts';
import { passableTrailers, responseFacts } from '../../../../src/router/embedded/http/response-fields.ts';
import { resolveTarget } from '../../../../src/router/embedded/http/target.ts';

/** Cuts bytes at random places, as networks do. */
const pieces = (bytes: Buffer, cuts: number[]): Buffer[] => {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
};
const cuts = fc.array(fc.nat(), { maxLength: 20 });

describe('HeadReader', () => {
  it('finds the end of a head wherever it is cut', () => {
    const bytes = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\nbody');
    fc.assert(
      fc.property(cuts, (at) => {
        const reader = new HeadReader();
        let rest = '';
        let text: string | undefined;
        for (const piece of pieces(bytes, at)) {
          if (text !== undefined) rest += piece.toString();
          else {
            const taken = reader.take(piece);
            text = taken?.text;
            rest = taken?.rest?.toString() ?? '';
          }
        }
        expect(text).toBe('GET / HTTP/1.1\r\nHost: a\r\n');
        expect(rest).toBe('body');
      }),
    );
  });

  it('gives up at 32 KiB', () => {
    const reader = new HeadReader();
    const fill = (): void => {
      for (let i = 0; i < 100; i++) reader.take(Buffer.alloc(1000, 'x'));
    };
    expect(fill).toThrow(expect.objectContaining({ status: 431 }));
  });
});

describe('BodyDecoder', () => {
  const decode = (framing: number, bytes: Buffer, at: number[]) => {
    const decoder = new BodyDecoder(framing);
    let content = '';
    let used = 0;
    for (const piece of pieces(bytes, at)) {
      if (decoder.done) break;
      used += decoder.decode(piece, (part) => (content += part.toString('latin1')));
    }
    return { content, used, done: decoder.done, trailers: decoder.trailers };
  };

  it('reads chunks wherever they are cut, with extensions and trailers, and leaves the rest', () => {
    const body = '5;a=b\r\nhello\r\n6 \r\n world\r\n0\r\nX-A: 1\r\n\r\n';
    fc.assert(
      fc.property(cuts, (at) => {
        const read = decode(chunked, Buffer.from(`${body}GET /`), at);
        expect(read).toEqual({ content: 'hello world', used: body.length, done: true, trailers: 'X-A: 1\r\n' });
      }),
    );
  });

  it('reads a length and leaves the rest', () => {
    expect(decode(3, Buffer.from('abcdef'), [2])).toMatchObject({ content: 'abc', used: 3, done: true });
    expect(decode(untilClose, Buffer.from('abc'), [])).toMatchObject({ content: 'abc', done: false });
    expect(new BodyDecoder(0).done).toBe(true);
  });

  it('ends in content, more input or a typed error, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (bytes, at) => {
        try {
          decode(chunked, Buffer.from(bytes), at);
        } catch (error) {
          expect(error).toBeInstanceOf(HttpError);
        }
      }),
    );
  });
});

describe('heads', () => {
  const facts = (fields: string, minor: 0 | 1 = 1) => requestFacts({ method: 'GET', target: '/', minor, fields });

  it('parse, or fail with a typed error, whatever comes', () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('GET /HP1.\r\n: ,;a\0\x7f\xff\t0')), maxLength: 80 });
    fc.assert(
      fc.property(text, (noise) => {
        for (const parse of [
          () => requestFacts(parseRequestHead(`${noise}\r\n`)),
          () => requestFacts(parseRequestHead(`GET / HTTP/1.1\r\nHost: a\r\n${noise}\r\n`)),
          () => responseFacts(parseResponseHead(`HTTP/1.1 200 OK\r\n${noise}\r\n`), 'GET'),
          () => resolveTarget('GET', noise, 'a'),
          () => resolveTarget('GET', '/', noise),
        ]) {
          try {
            parse();
          } catch (error) {
            expect(error).toBeInstanceOf(HttpError);
          }
        }
      }),
    );
  });

  it('do not take a no-break space for a blank', () => {
    expect(() => facts('Host: a\r\nTransfer-Encoding: chunked\xa0\r\n')).toThrow(
      expect.objectContaining({ status: 501 }),
    );
  });

  it('are kept alive as version and Connection say', () => {
    expect(facts('Host: a\r\n').keepAlive).toBe(true);
    expect(facts('Host: a\r\nConnection: x, Close\r\n').keepAlive).toBe(false);
    expect(facts('Host: a\r\n', 0).keepAlive).toBe(false);
    expect(facts('Host: a\r\nConnection: keep-alive\r\n', 0).keepAlive).toBe(true);
  });

  it('believe X-Forwarded-* from a trusted hop only', () => {
    const spoofed = facts(
      'Host: a\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\n',
    );
    const head = (trusted: boolean) =>
      upstreamHead('GET', '/', spoofed, { address: '1.2.3.4', port: 80, secure: false, trusted }, 'id');
    expect(head(false)).toContain('X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: http\r\n');
    expect(head(false)).not.toContain('6.6.6.6');
    expect(head(true)).toContain('X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n');
  });

  it('lose forbidden trailers', () => {
    expect(passableTrailers('X-Sum: 1\r\nContent-Length: 5\r\nHost: b\r\n')).toBe('X-Sum: 1\r\n');
  });

  it('are filtered by name, in any case, and by names spelt with underscores', () => {
    const names = new FieldNames(['x-for', 'host']);
    const seen: string[] = [];
    const kept = names.filter('A: 1\r\nX-FOR: 2 \r\nx_for: 3\r\nB: 4\r\nHost:5\r\nXxfor: 6\r\n', (name, value) => {
      seen.push(`${name}=${value}`);
      return name === 'host';
    });
    expect(seen).toEqual(['x-for=2', 'host=5']);
    expect(kept).toBe('A: 1\r\nB: 4\r\nHost:5\r\nXxfor: 6\r\n');
  });
});
