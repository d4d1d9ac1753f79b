import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import { FieldSyntaxError, parseDictionary, serializeInnerList } from '../../../../src/shared/signing/fields.ts';
import { signRequest, verifyRequest } from '../../../../src/shared/signing/index.ts';

const lookup = (): string => 'secret';
const nonces = { use: (): boolean => true };
const key = { keyId: 'k', secret: 'secret' };

/** Text made of the characters that the grammar is made of, so that parsing gets far. */
const grammar = fc.string({ unit: fc.constantFrom(...Array.from('ab()";:=,? \\\t10-.*/@é\n')), maxLength: 60 });

describe('structured fields', () => {
  it('parse or fail with a position, and canonical text parses to the same', () => {
    fc.assert(
      fc.property(fc.oneof(grammar, fc.string()), (text) => {
        let members;
        try {
          members = parseDictionary(text);
        } catch (error) {
          expect(error).toBeInstanceOf(FieldSyntaxError);
          return;
        }
        for (const member of members.values()) {
          if (!('items' in member)) continue;
          const canonical = serializeInnerList(member);
          expect(parseDictionary(`x=${canonical}`).get('x')).toEqual(member);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('verification of arbitrary headers', () => {
  it('never lets one through and never throws anything but a PaasError', async () => {
    await fc.assert(
      fc.asyncProperty(grammar, grammar, fc.string(), async (input, signature, url) => {
        const headers = { host: 'h', 'signature-input': `paas=(${input}`, signature: `paas=:${signature}` };
        const outcome = await verifyRequest({ method: 'GET', url, headers }, { lookup, nonces }).catch(
          (error: unknown) => error,
        );
        expect(outcome).toBeInstanceOf(PaasError);
      }),
      { numRuns: 1000 },
    );
  });

  it.each(['"constructor"', '"__proto__"', '"@status"', '"X-Upper"', '"host";sf', 'host', '"@method" "@method"'])(
    'refuses the component %s',
    async (component) => {
      const input = `paas=("@method" "@authority" "@path" "@query" ${component});created=1;expires=2;nonce="n";keyid="k";alg="hmac-sha256";tag="paas"`;
      const headers = { host: 'h', 'signature-input': input, signature: 'paas=:AAAA:' };
      await expect(verifyRequest({ method: 'GET', url: '/', headers }, { lookup, nonces })).rejects.toMatchObject({
        code: 'not_authenticated',
      });
    },
  );
});

describe('signing and verifying', () => {
  const text = fc.string({ unit: 'grapheme-ascii', maxLength: 20 });

  it('agree on every request, and on nothing that was changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
        fc.webUrl({ withQueryParameters: true }),
        fc.option(fc.uint8Array(), { nil: undefined }),
        text,
        fc.nat(),
        async (method, address, body, idempotencyKey, flip) => {
          const url = new URL(address);
          const headers = { 'idempotency-key': idempotencyKey };
          const added = signRequest({ method, url: url.href, headers, ...(body ? { body } : {}) }, key);
          const lower = Object.fromEntries(Object.entries(added).map(([name, value]) => [name.toLowerCase(), value]));
          const scheme: 'http' | 'https' = url.protocol === 'https:' ? 'https' : 'http';
          const request = {
            method,
            url: url.pathname + url.search,
            scheme,
            headers: { ...headers, ...lower, host: url.host },
          };
          await expect(verifyRequest(request, { lookup, nonces })).resolves.toEqual({ keyId: 'k' });
          const mac = Buffer.from(lower['signature']!.slice(6, -1), 'base64');
          mac[flip % mac.length]! ^= 1 + (flip % 255);
          const forged = { ...request.headers, signature: `paas=:${mac.toString('base64')}:` };
          await expect(verifyRequest({ ...request, headers: forged }, { lookup, nonces })).rejects.toMatchObject({
            code: 'not_authenticated',
          });
        },
      ),
    );
  });
});
