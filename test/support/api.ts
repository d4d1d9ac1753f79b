/** The API of a test's control plane, called without sockets by clients that sign. */
import type { FastifyInstance } from 'fastify';
import { signRequest, type SignOptions } from '../../src/shared/signing/index.ts';
import type { Endpoint, Role } from '../../src/control/api/define.ts';
import { allEndpoints } from '../../src/control/api/endpoints.ts';
import { StoredKeys } from '../../src/control/api/keys.ts';
import { createApi } from '../../src/control/api/server.ts';
import { StoredNonces } from '../../src/control/store/nonces.ts';
import type { TestControl } from './control.ts';

export interface Answer {
  status: number;
  body: Record<string, unknown>;
  /** The error's code, where it is one. */
  code: string | undefined;
}

export interface CallOptions {
  body?: unknown;
  /** Sent as it is instead of JSON. */
  raw?: Buffer | string;
  as?: Role;
  idempotencyKey?: string;
  headers?: Record<string, string>;
  sign?: SignOptions;
  /** Changes the request after it was signed. */
  tamper?: (request: Sent) => void;
}

export interface Sent {
  method: string;
  url: string;
  headers: Record<string, string>;
  payload: Buffer | undefined;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
const origin = 'http://127.0.0.1:7070';
const secretOf = (role: Role): string => `the secret of the ${role}, long enough`;
export const appUrl = '/v1/projects/default/environments/dev/apps/shop';

export class TestApi {
  readonly server: FastifyInstance;
  readonly endpoints: Endpoint[];
  readonly keys: StoredKeys;

  private constructor(control: TestControl, keys: StoredKeys) {
    this.keys = keys;
    this.endpoints = allEndpoints(keys);
    this.server = createApi({
      control,
      keys,
      nonces: new StoredNonces(control.store),
      endpoints: this.endpoints,
      tls: null,
    });
  }

  /** With a key for each role; the agent's is that of the host `h1`. */
  static async of(control: TestControl): Promise<TestApi> {
    const keys = new StoredKeys(control.store, control.sealer);
    for (const role of ['owner', 'developer', 'viewer', 'agent'] as const) {
      const host = role === 'agent' ? { hostId: 'h1' } : {};
      await keys.put({ id: `key-${role}`, secret: secretOf(role), principal: `key:${role}`, role, ...host });
    }
    return new TestApi(control, keys);
  }

  /** The signed request, not sent yet. */
  request(method: Method, path: string, options: CallOptions = {}): Sent {
    const { as = 'owner', body, raw, idempotencyKey } = options;
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const payload = text === undefined ? undefined : Buffer.from(text as string);
    const headers: Record<string, string> = {
      host: '127.0.0.1:7070',
      ...(payload ? { 'content-type': 'application/json' } : {}),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      ...options.headers,
    };
    const toSign = { method, url: origin + path, headers, ...(payload ? { body: payload } : {}) };
    const signature = signRequest(toSign, { keyId: `key-${as}`, secret: secretOf(as) }, options.sign);
    const sent: Sent = { method, url: path, headers: { ...headers, ...signature }, payload };
    options.tamper?.(sent);
    return sent;
  }

  async send({ method, url, headers, payload }: Sent): Promise<Answer> {
    const answer = await this.server.inject({
      method: method as Method,
      url,
      headers,
      ...(payload ? { payload } : {}),
    });
    // Trees and blobs are bytes.
    const isJson = String(answer.headers['content-type']).includes('json');
    const body = (isJson ? JSON.parse(answer.body) : {}) as Record<string, unknown>;
    const { error } = body as { error?: { code: string } };
    return { status: answer.statusCode, body, code: error?.code };
  }

  call(method: Method, path: string, options: CallOptions = {}): Promise<Answer> {
    return this.send(this.request(method, path, options));
  }

  get(path: string, options: CallOptions = {}): Promise<Answer> {
    return this.call('GET', path, options);
  }
}
