import { createServer } from 'node:http';
import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import { signatureBase, signBase } from '../../../../src/shared/signing/base.ts';
import { parseDictionary, type InnerList } from '../../../../src/shared/signing/fields.ts';
import {
  createMemoryNonceStore,
  signRequest,
  verifyRequest,
  type NonceStore,
  type RequestToSign,
  type SignableRequest,
  type SignOptions,
} from '../../../../src/shared/signing/index.ts';
import fixtures from '../../../fixtures/signing.json' with { type: 'json' };

const key = { keyId: 'key_1', secret: 'correct horse battery staple' };
const now = Date.parse('2024-05-01T12:00:00.500Z');
const everNew: NonceStore = { use: () => true };

const push: RequestToSign = {
  method: 'POST',
  url: 'http://paas.example:7070/v1/apps?project=store',
  headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'idem_1' },
  body: '{"name":"shop"}',
};

/** The request as the server's node:http shows it. */
function received(sent: RequestToSign, options: SignOptions = {}): SignableRequest {
  const url = new URL(sent.url);
  const headers: Record<string, string> = { host: url.host };
  for (const [name, value] of Object.entries({ ...sent.headers, ...signRequest(sent, key, { now, ...options }) })) {
    headers[name.toLowerCase()] = String(value);
  }
  return { method: sent.method, url: url.pathname + url.search, headers };
}

async function verify(request: SignableRequest, at = now, nonces: NonceStore = everNew): Promise<string> {
  const lookup = (keyId: string): string | null => (keyId === key.keyId ? key.secret : null);
  return (await verifyRequest(request, { lookup, nonces, now: at })).keyId;
}

async function refusal(promise: Promise<unknown>): Promise<PaasError> {
  const outcome = await promise.catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(PaasError);
  return outcome as PaasError;
}

const without = (request: SignableRequest, name: string): SignableRequest => ({
  ...request,
  headers: Object.fromEntries(Object.entries(request.headers).filter(([header]) => header !== name)),
});

describe('RFC 9421', () => {
  it('computes the published example of appendix B.2.5', () => {
    const vectors = fixtures.vectors as unknown as Record<string, string>[];
    const vector = vectors.find((one) => one['scheme'] === 'rfc9421-hmac-sha256')!;
    const input = parseDictionary(
      'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    ).get('sig-b25') as InnerList;
    const request = {
      method: 'POST',
      url: '/foo?param=Value&Pet=dog',
      headers: { host: 'example.com', date: 'Tue, 20 Apr 2021 02:07:55 GMT', 'content-type': 'application/json' },
    };
    const base = signatureBase(request, input);
    expect(base).toBe(vector['signature_base']);
    expect(signBase(base, Buffer.from(vector['key_base64']!, 'base64')).toString('base64')).toBe(
      vector['signature_base64'],
    );
  });

  it('covers method, authority, path, query, body and the headers that carry meaning', () => {
    const headers = signRequest(push, key, { now, nonce: 'n1' });
    expect(headers['Signature-Input']).toBe(
      'paas=("@method" "@authority" "@path" "@query" "content-digest" "content-type" "idempotency-key")' +
        ';created=1714564800;expires=1714565100;nonce="n1";keyid="key_1";alg="hmac-sha256";tag="paas"',
    );
  });
});

describe('a signed request', () => {
  it('is accepted as its key', async () => {
    expect(await verify(received(push))).toBe('key_1');
    expect(await verify(received({ method: 'GET', url: 'http://h/', headers: {} }))).toBe('key_1');
  });

  it.each<[string, (request: SignableRequest) => SignableRequest]>([
    ['another method', (request) => ({ ...request, method: 'PUT' })],
    ['another path', (request) => ({ ...request, url: '/v1/hosts?project=store' })],
    ['another query', (request) => ({ ...request, url: '/v1/apps?project=other' })],
    ['no query', (request) => ({ ...request, url: '/v1/apps' })],
    ['another host', (request) => ({ ...request, headers: { ...request.headers, host: 'evil.example:7070' } })],
    ['another type', (request) => ({ ...request, headers: { ...request.headers, 'content-type': 'text/plain' } })],
    ['another key of idempotency', (r) => ({ ...r, headers: { ...r.headers, 'idempotency-key': 'idem_2' } })],
    ['no key of idempotency', (request) => without(request, 'idempotency-key')],
    ['another digest', (r) => ({ ...r, headers: { ...r.headers, 'content-digest': 'sha-256=:AAAA:' } })],
    ['no signature', (request) => without(request, 'signature')],
    ['no signature input', (request) => without(request, 'signature-input')],
    ['a cut signature', (r) => ({ ...r, headers: { ...r.headers, signature: 'paas=:AAAA:' } })],
    ['a signature of another name', (r) => ({ ...r, headers: { ...r.headers, signature: 'other=:AAAA:' } })],
  ])('is refused with %s', async (_name, change) => {
    expect((await refusal(verify(change(received(push))))).code).toBe('not_authenticated');
  });

  it('is refused when a header that carries meaning was added after signing', async () => {
    const request = received({ method: 'DELETE', url: 'http://h/v1/apps/a', headers: {} });
    for (const added of [{ 'idempotency-key': 'x' }, { 'content-length': '5' }, { 'transfer-encoding': 'chunked' }]) {
      const error = await refusal(verify({ ...request, headers: { ...request.headers, ...added } }));
      expect(error.message).toContain('does not cover');
    }
  });

  it.each(['@method', '@authority', '@path', '@query'])('is refused when the signature leaves out %s', async (name) => {
    const request = received({ method: 'GET', url: 'http://h/', headers: {} });
    const input = String(request.headers['signature-input']).replace(`"${name}"`, '').replaceAll(/ {2}/g, ' ');
    const error = await refusal(verify({ ...request, headers: { ...request.headers, 'signature-input': input } }));
    expect(error.message).toContain(name);
  });

  it.each(['nonce', 'created', 'expires', 'keyid', 'alg', 'tag'])(
    'is refused without the parameter %s',
    async (name) => {
      const request = received(push);
      const input = String(request.headers['signature-input']).replace(new RegExp(`;${name}=("[^"]*"|\\d+)`), '');
      const error = await refusal(verify({ ...request, headers: { ...request.headers, 'signature-input': input } }));
      expect(error.code).toBe('not_authenticated');
      expect(error.message).toContain(name);
    },
  );

  it('names the key that is not known', async () => {
    const error = await refusal(verifyRequest(received(push), { lookup: () => null, nonces: everNew, now }));
    expect(error).toMatchObject({ code: 'not_authenticated', exit: 4 });
    expect(error.message).toContain('key_1');
  });

  it('is refused the second time', async () => {
    const nonces = createMemoryNonceStore(10, () => now);
    await verify(received(push, { nonce: 'once' }), now, nonces);
    expect((await refusal(verify(received(push, { nonce: 'once' }), now, nonces))).message).toContain('nonce');
    await verify(received(push, { nonce: 'twice' }), now, nonces);
  });

  it('does not spend a nonce on a forged request', async () => {
    const nonces = createMemoryNonceStore(10, () => now);
    const genuine = received(push, { nonce: 'once' });
    await refusal(verify({ ...genuine, method: 'PUT' }, now, nonces));
    expect(await verify(genuine, now, nonces)).toBe('key_1');
  });

  it('tells how far the clocks are apart', async () => {
    const behind = await refusal(verify(received(push), now + 603_000));
    expect(behind).toMatchObject({
      code: 'clock_skew',
      exit: 4,
      message: "the clock of this machine is 10 min 3 s behind the server's",
      details: { serverTime: '2024-05-01T12:10:03.500Z', skewSeconds: -603 },
    });
    const ahead = await refusal(verify(received(push), now - 90_000_000));
    expect(ahead.message).toBe("the clock of this machine is 1 d 1 h ahead of the server's");
    expect(await verify(received(push), now + 299_000)).toBe('key_1');
    expect(await verify(received(push), now - 299_000)).toBe('key_1');
  });

  it('is refused after it expired', async () => {
    const request = received(push, { expiresInS: 10 });
    expect(await verify(request, now + 9000)).toBe('key_1');
    expect((await refusal(verify(request, now + 11_000))).message).toContain('expired');
  });

  it.each([
    ['http://PaaS.Example:80/', 'paas.example'],
    ['http://PaaS.Example/', 'paas.example:80'],
    ['http://[::1]:7070/', '[::1]:7070'],
  ])('survives the spelling of the authority: %s', async (url, host) => {
    const sent: RequestToSign = { method: 'GET', url, headers: {} };
    const request = received(sent);
    expect(await verify({ ...request, headers: { ...request.headers, host } })).toBe('key_1');
  });

  it('drops port 443 for https alone', async () => {
    const request = received({ method: 'GET', url: 'https://h/', headers: {} });
    const viaTls = { ...request, headers: { ...request.headers, host: 'h:443' } };
    expect(await verify({ ...viaTls, scheme: 'https' })).toBe('key_1');
    expect((await refusal(verify(viaTls))).code).toBe('not_authenticated');
  });

  it('is accepted for a WebSocket, whose URL says ws', async () => {
    const sent: RequestToSign = { method: 'GET', url: 'ws://h:7070/v1/agents/link', headers: {} };
    const headers = signRequest(sent, key, { now });
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const request = {
      method: 'GET',
      url: '/v1/agents/link',
      headers: { host: 'h:7070', upgrade: 'websocket', ...lower },
    };
    expect(await verify(request)).toBe('key_1');
  });

  it('passes through node:http unchanged', async () => {
    const server = createServer((request, response) => {
      verifyRequest(
        { method: request.method ?? '', url: request.url ?? '', headers: request.headers },
        { lookup: () => key.secret, nonces: everNew },
      ).then(
        ({ keyId }) => response.end(keyId),
        (error: unknown) => response.end(String(error)),
      );
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/x%20y/%C3%A9?a=b%26c&d=%2F&e`;
      const sent: RequestToSign = { method: 'PUT', url, headers: { 'Content-Type': ' text/plain ' }, body: 'x' };
      const outgoing = http.request(url, {
        method: 'PUT',
        headers: { 'Content-Type': ' text/plain ', ...signRequest(sent, key) },
      });
      outgoing.end('x');
      const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).toString()).toBe('key_1');
    } finally {
      server.close();
    }
  });
});

describe('nonces in memory', () => {
  it('forgets what has expired and refuses, rather than forgets, when full', () => {
    let time = 1000;
    const nonces = createMemoryNonceStore(2, () => time);
    expect([nonces.use('k', 'a', 2000), nonces.use('k', 'b', 2000), nonces.use('k', 'a', 2000)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(() => nonces.use('k', 'c', 2000)).toThrow('too many');
    time = 2001;
    expect(nonces.use('k', 'c', 3000)).toBe(true);
    expect(nonces.use('other', 'c', 3000)).toBe(true);
  });
});
