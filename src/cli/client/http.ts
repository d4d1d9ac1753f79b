/** One signed HTTP request over node:http or node:https: no retries, no meaning. */
import http from 'node:http';
import type https from 'node:https';
import { errnoOf } from '../../shared/errors.ts';
import { signRequest } from '../../shared/signing/index.ts';

/** TLS is loaded only for platforms that use it: it costs every other start 3 ms. */
const loadHttps = () => process.getBuiltinModule('node:https');

export interface Platform {
  url: string;
  keyId: string;
  keySecret: string;
  /** PEM of the authority to trust instead of the public ones. */
  ca?: string;
}

export interface Outgoing {
  method: string;
  /** From `/v1/…` on. */
  path: string;
  query?: Query;
  headers?: Record<string, string>;
  body?: Buffer;
  signal?: AbortSignal;
}

export type Query = Record<string, string | number | boolean | undefined>;

/** The connection failed. `sent`: the request may have reached the platform. */
export class ConnectionError extends Error {
  readonly sent: boolean;
  constructor(message: string, sent: boolean, cause: unknown) {
    super(message, { cause });
    this.sent = sent;
  }
}

/** Connections to one platform, kept alive between requests. They do not keep the process alive. */
export class Connection {
  readonly platform: Platform;
  readonly #agent: http.Agent | https.Agent;
  readonly #isTls: boolean;

  constructor(platform: Platform) {
    this.platform = platform;
    this.#isTls = platform.url.startsWith('https:');
    const options = { keepAlive: true, maxSockets: 16 };
    this.#agent = this.#isTls ? new (loadHttps().Agent)({ ...options, ...trust(platform) }) : new http.Agent(options);
  }

  /** The absolute URL of a path; values of the query that are undefined are left out. */
  url(path: string, query: Query = {}): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.append(name, String(value));
    const text = parameters.toString();
    // In the form in which it is sent, since that is what is signed.
    return new URL(`${this.platform.url}${path}${text === '' ? '' : `?${text}`}`).href;
  }

  /** Sends a request, signed anew, and resolves when the head of the answer is there. Throws ConnectionError. */
  send(outgoing: Outgoing): Promise<http.IncomingMessage> {
    const { method, body, signal } = outgoing;
    const { keyId, keySecret: secret } = this.platform;
    const url = this.url(outgoing.path, outgoing.query);
    const own = { ...outgoing.headers, ...(body ? { 'Content-Length': String(body.length) } : {}) };
    const signed = signRequest({ method, url, headers: own, ...(body ? { body } : {}) }, { keyId, secret });
    const options = { method, agent: this.#agent, headers: { ...own, ...signed }, ...(signal ? { signal } : {}) };
    return new Promise((resolve, reject) => {
      let sent = false;
      const request = this.#isTls ? loadHttps().request(url, options) : http.request(url, options);
      request.on('socket', (socket) => {
        // A half-open connection is noticed also where nothing is sent for long.
        socket.setKeepAlive(true, 15_000);
        if (!socket.connecting) sent = true;
        else socket.once(this.#isTls ? 'secureConnect' : 'connect', () => (sent = true));
      });
      request.on('error', (error) => {
        // Several addresses that all refuse make an error without a message.
        reject(new ConnectionError(error.message || (errnoOf(error) ?? 'no connection'), sent, error));
      });
      request.on('response', resolve);
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** TLS options: a platform with an authority of its own is trusted by that one alone. */
export function trust({ ca }: Platform): { ca?: string } {
  return ca === undefined ? {} : { ca };
}
