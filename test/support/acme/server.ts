/**
 * An ACME authority (RFC 8555) that checks what it is sent: signatures, nonces, URLs, the answer to HTTP-01, the names of
 * the request. It issues real certificates of its own CA.
 */
import { randomBytes, type JsonWebKey } from 'node:crypto';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { TestCa } from './ca.ts';
import { keyOf, readJws, thumbprint, type Signed } from './jws.ts';

interface Answered {
  status: number;
  type: string;
  detail: string;
  headers?: Record<string, string>;
}

class Refusal extends Error {
  readonly answer: Answered;

  constructor(answer: Answered) {
    super(answer.detail);
    this.answer = answer;
  }
}
const refuse = (status: number, type: string, detail: string): Refusal => new Refusal({ status, type, detail });
/** Object identifier of the extension with a certificate's names. */
const subjectAltName = '2.5.29.17';

interface Order {
  id: string;
  account: string;
  name: string;
  status: string;
  token: string;
  challenge: string;
  /** Of the challenge. */
  error?: object;
  chain?: string;
}

const problem = (type: string, detail: string) => ({ type: `urn:ietf:params:acme:error:${type}`, detail });

export class FakeAuthority {
  readonly ca: TestCa;
  readonly #server: Server;
  readonly #nonces = new Set<string>();
  readonly accounts = new Map<string, { jwk: JsonWebKey; contact: unknown }>();
  readonly orders = new Map<string, Order>();
  /** Requests by what they are about: `newOrder`, `challenge`, … */
  readonly asked: string[] = [];
  /** Where HTTP-01 is looked for, as port 80 of every host. */
  challengePort = 0;
  termsOfService: string | undefined;
  /** Answers the next request of a kind so instead. */
  refusals = new Map<string, Answered>();
  /** Called before a request of a kind is carried out. */
  before = new Map<string, () => Promise<void> | void>();
  lifeMs = 90 * 86_400_000;
  url = '';

  private constructor(ca: TestCa, tls: { cert: string; key: string } | undefined) {
    this.ca = ca;
    const listen = (incoming: IncomingMessage, response: ServerResponse): void => {
      this.#serve(incoming, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
    };
    this.#server = tls ? createTlsServer(tls, listen) : createServer(listen);
  }

  /** @param withTls reached by https:, with a certificate of its own CA for `localhost` */
  static async start(withTls = false): Promise<FakeAuthority> {
    const ca = await TestCa.make();
    const { leaf, intermediate, key } = await ca.issue({ names: ['localhost'] });
    const authority = new FakeAuthority(ca, withTls ? { cert: leaf + intermediate, key } : undefined);
    await new Promise<void>((resolve) => authority.#server.listen(0, '127.0.0.1', resolve));
    const { port } = authority.#server.address() as AddressInfo;
    authority.url = withTls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
    return authority;
  }

  get directory(): string {
    return `${this.url}/directory`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of incoming) text += String(chunk);
    const [kind = '', id = ''] = (incoming.url ?? '').slice(1).split('/');
    const nonce = randomBytes(12).toString('base64url');
    this.#nonces.add(nonce);
    response.setHeader('replay-nonce', nonce);
    const answer = (status: number, body: unknown, headers: Record<string, string> = {}): void =>
      void response
        .writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json', ...headers })
        .end(typeof body === 'string' ? body : JSON.stringify(body));
    if (kind === 'directory' || kind === 'newNonce') {
      answer(200, kind === 'directory' ? this.#directory() : '');
      return;
    }
    this.asked.push(kind);
    await this.before.get(kind)?.();
    try {
      const refusal = this.refusals.get(kind);
      this.refusals.delete(kind);
      if (refusal) throw new Refusal(refusal);
      const { signed, account } = this.#check(kind, incoming, text);
      const { status = 200, body, location } = await this.#act(kind, id, signed, account);
      answer(status, body, location === undefined ? {} : { location });
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      const { status, type, detail, headers } = thrown.answer;
      answer(status, problem(type, detail), { 'content-type': 'application/problem+json', ...headers });
    }
  }

  #directory(): object {
    const names = ['newNonce', 'newAccount', 'newOrder', 'revokeCert', 'keyChange'];
    const meta = this.termsOfService === undefined ? {} : { meta: { termsOfService: this.termsOfService } };
    return { ...Object.fromEntries(names.map((name) => [name, `${this.url}/${name}`])), ...meta };
  }

  #check(kind: string, incoming: IncomingMessage, text: string): { signed: Signed; account: string } {
    if (incoming.method !== 'POST' || incoming.headers['content-type'] !== 'application/jose+json')
      throw refuse(400, 'malformed', 'not a POST of JOSE');
    const signed = readJws(text);
    const { nonce, url, kid, jwk } = signed.header;
    if (nonce === undefined || !this.#nonces.delete(nonce)) throw refuse(400, 'badNonce', 'the nonce was used');
    if (url !== this.url + (incoming.url ?? '')) throw refuse(401, 'unauthorized', 'signed for another URL');
    const isNew = kind === 'newAccount';
    if (isNew !== (jwk !== undefined) || isNew !== (kid === undefined)) throw refuse(400, 'malformed', 'kid or jwk');
    const known = kid === undefined ? jwk : this.accounts.get(kid)?.jwk;
    if (!known) throw refuse(400, 'accountDoesNotExist', 'no such account');
    if (!signed.isBy(keyOf(known))) throw refuse(401, 'unauthorized', 'the signature does not match');
    return { signed, account: kid ?? '' };
  }

  async #act(
    kind: string,
    id: string,
    { header, payload }: Signed,
    account: string,
  ): Promise<{ status?: number; body: unknown; location?: string }> {
    const order = this.orders.get(id);
    if (order && order.account !== account) throw refuse(403, 'unauthorized', 'not the order of this account');
    switch (kind) {
      case 'newAccount': {
        if (this.termsOfService !== undefined && payload?.['termsOfServiceAgreed'] !== true)
          throw refuse(403, 'userActionRequired', 'terms not agreed to');
        const url = `${this.url}/account/${thumbprint(header.jwk!)}`;
        const isKnown = this.accounts.has(url);
        this.accounts.set(url, { jwk: header.jwk!, contact: payload?.['contact'] });
        return { status: isKnown ? 200 : 201, body: { status: 'valid' }, location: url };
      }
      case 'account':
        this.accounts.get(account)!.contact = payload?.['contact'];
        return { body: { status: 'valid' } };
      case 'newOrder': {
        const [{ value: name }] = payload?.['identifiers'] as [{ value: string }];
        const made = { id: randomBytes(6).toString('hex'), account, name, status: 'pending', challenge: 'pending' };
        this.orders.set(made.id, { ...made, token: randomBytes(16).toString('base64url') });
        return { status: 201, body: this.#order(this.orders.get(made.id)!), location: `${this.url}/order/${made.id}` };
      }
      case 'order':
        if (!order) throw refuse(404, 'malformed', 'no such order');
        return { body: this.#order(order) };
      case 'authz':
        return { body: this.#authorization(order!) };
      case 'challenge':
        await this.#look(order!, this.accounts.get(account)!.jwk);
        return { body: { type: 'http-01', status: order!.challenge } };
      case 'finalize':
        await this.#finalize(order!, payload?.['csr'] as string);
        return { body: this.#order(order!) };
      case 'cert':
        return { body: order!.chain };
      default:
        throw refuse(404, 'malformed', `no ${kind}`);
    }
  }

  #order({ id, name, status }: Order): object {
    return {
      ...{ status, identifiers: [{ type: 'dns', value: name }], authorizations: [`${this.url}/authz/${id}`] },
      ...{ finalize: `${this.url}/finalize/${id}`, ...(status === 'valid' ? { certificate: `${this.url}/cert/${id}` } : {}) },
    };
  } // prettier-ignore

  #authorization({ id, name, challenge, token, error }: Order): object {
    const url = `${this.url}/challenge/${id}`;
    return {
      identifier: { type: 'dns', value: name },
      status: challenge === 'processing' ? 'pending' : challenge,
      challenges: [
        { type: 'dns-01', url: `${url}/dns`, status: 'pending', token },
        { type: 'http-01', url, status: challenge, token, ...(error ? { error } : {}) },
      ],
    };
  }

  /** RFC 8555, 8.3. */
  async #look(order: Order, jwk: JsonWebKey): Promise<void> {
    const wanted = `${order.token}.${thumbprint(jwk)}`;
    const found = await fetchText(this.challengePort, order.name, `/.well-known/acme-challenge/${order.token}`);
    const isProved = found.trim() === wanted;
    order.challenge = isProved ? 'valid' : 'invalid';
    order.status = isProved ? 'ready' : 'invalid';
    if (!isProved) order.error = problem('unauthorized', `${order.name} answers \`${found}\` instead of the key authorization`);
  } // prettier-ignore

  async #finalize(order: Order, csr: string): Promise<void> {
    if (order.status !== 'ready') throw refuse(403, 'orderNotReady', `the order is ${order.status}`);
    const wish = new Pkcs10CertificateRequest(Buffer.from(csr, 'base64url'));
    const raw = wish.extensions.find(({ type }) => type === subjectAltName)?.rawData;
    const names = raw ? new SubjectAlternativeNameExtension(raw).names.toJSON().map(({ value }) => value) : [];
    if (!(await wish.verify()) || names.join() !== order.name) throw refuse(400, 'badCSR', `it has ${names.join()}`);
    const from = Date.now() - 3_600_000;
    const { leaf, intermediate } = await this.ca.issue({
      ...{ names, from, to: from + this.lifeMs, publicKey: wish.publicKey },
    });
    order.chain = leaf + intermediate;
    order.status = 'valid';
  }
}

/** What a host answers on its port for HTTP, or why it does not. */
function fetchText(port: number, host: string, path: string): Promise<string> {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.once('end', () => resolve(response.statusCode === 200 ? text : `status ${response.statusCode ?? 0}`));
    })
      .once('error', (error) => resolve(error.message))
      .end();
  });
}
