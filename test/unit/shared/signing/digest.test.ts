import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  checkContentDigest,
  contentDigest,
  createContentDigestVerifier,
} from '../../../../src/shared/signing/index.ts';

const sha256 = (body: string): Buffer => createHash('sha256').update(body).digest();
const header = (value: string): Record<string, string> => ({ 'content-digest': value });

describe('Content-Digest', () => {
  // RFC 9530, appendix B.1: {"hello": "world"} and a line feed.
  const hello = '{"hello": "world"}\n';
  const published = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:';

  it('is the published value for the published example', () => {
    expect(contentDigest(hello)).toBe(published);
  });

  it('accepts the body in pieces, and by its hash', () => {
    const verifier = createContentDigestVerifier({ 'Content-Digest': published });
    for (const char of hello) verifier.update(char);
    verifier.finish();
    checkContentDigest(header(published), sha256(hello));
    checkContentDigest(header(published), sha256(hello).toString('hex'));
  });

  it('refuses another body', () => {
    const verifier = createContentDigestVerifier(header(published));
    verifier.update(hello.slice(1));
    expect(() => {
      verifier.finish();
    }).toThrow('does not match');
    expect(() => {
      checkContentDigest(header(published), sha256(''));
    }).toThrow('does not match');
  });

  it('accepts sha-512, and both must agree when both are given', () => {
    const long = `sha-512=:${createHash('sha512').update(hello).digest('base64')}:`;
    for (const [value, right] of [
      [long, true],
      [`${published}, ${long}`, true],
      [`${long}, ${contentDigest('')}`, false],
      [`md5=:AAAA:, ${published}`, true],
    ] as const) {
      const verifier = createContentDigestVerifier(header(value));
      verifier.update(hello);
      if (right) verifier.finish();
      else
        expect(() => {
          verifier.finish();
        }).toThrow('sha-256');
    }
  });

  it.each(['', 'md5=:AAAA:', 'sha-256', 'sha-256="text"', 'sha-256=:AAA:', 'sha-256=:AAAA:, sha-256=:AAAA:', '\u0000'])(
    'refuses the header %j',
    (value) => {
      expect(() => createContentDigestVerifier(header(value))).toThrow(
        expect.objectContaining({ code: 'bad_request' }),
      );
    },
  );

  it('asks for the header', () => {
    expect(() => createContentDigestVerifier({})).toThrow('no Content-Digest');
  });
});
