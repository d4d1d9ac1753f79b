/** Requests to apps through the router, as a browser's would come: by address, with the app's name as Host. */
import { request } from 'node:http';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  timeoutMs?: number;
}

/**
 * @param host an app's name, or a whole host name
 * @throws the connection's own error
 */
export function ask(port: number, host: string, path: string, asked: Asked = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, timeoutMs = 30_000 } = asked;
  const name = host.includes('.') ? host : `${host}.localhost`;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      // Node's resolver does not know *.localhost; browsers do.
      { host: '127.0.0.1', port, path, method, agent: false, headers: { host: `${name}:${port}`, ...headers } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          });
        });
      },
    );
    outgoing.setTimeout(timeoutMs, () =>
      outgoing.destroy(new Error(`${method} ${name}${path}: no answer in ${timeoutMs} ms`)),
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Asks the same again and again, a request every `everyMs`, and remembers what failed and what came. */
export class SteadyLoad {
  readonly failures: string[] = [];
  /** How often each text was answered. */
  readonly answers = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();

  constructor(port: number, host: string, path = '/', headers: Record<string, string> = {}, everyMs = 20) {
    this.#timer = setInterval(() => {
      const one = this.#ask(port, host, path, headers).finally(() => this.#open.delete(one));
      this.#open.add(one);
    }, everyMs);
  }

  /** Ends it, when the last answer is in. */
  async stop(): Promise<this> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    return this;
  }

  get count(): number {
    return this.failures.length + [...this.answers.values()].reduce((sum, n) => sum + n, 0);
  }

  async #ask(port: number, host: string, path: string, headers: Record<string, string>): Promise<void> {
    try {
      const { status, text } = await ask(port, host, path, { headers });
      if (status === 200) this.answers.set(text, (this.answers.get(text) ?? 0) + 1);
      else this.failures.push(`${new Date().toISOString()} ${status} ${text.slice(0, 200)}`);
    } catch (error) {
      this.failures.push(`${new Date().toISOString()} ${String(error)}`);
    }
  }
}
