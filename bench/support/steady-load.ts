/**
 * A program: requests at a steady rate, whether earlier ones are answered or not. In turns GET and POST, over kept and over
 * fresh connections, and where it is asked for every tenth a WebSocket that is spoken on and closed. Its parent says what to ask and what is going on meanwhile, and gets the result, by messages.
 */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { quantile } from './report.ts';

export interface LoadOrder {
  port: number;
  host: string;
  requests: number;
  perSecond: number;
  webSockets?: boolean;
}

export interface LoadResult {
  count: number;
  /** Kind of failure: how many. */
  failures: Record<string, number>;
  /** Milliseconds, from when a request was due. */
  latency: { median: number; p99: number; most: number };
}

const timeoutMs = 10_000;
const kept = new Agent({ keepAlive: true, maxSockets: 64 });
const body = 'x'.repeat(1000);

let phase = 'before anything';

/** @returns what went wrong, null when nothing did */
function one({ port, host }: LoadOrder, method: 'GET' | 'POST', agent: Agent | false): Promise<string | null> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, method, agent, path: '/', headers: { host } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.once('error', (error) => resolve(`answer broke off: ${error.message}`));
      response.once('end', () => {
        const right = method === 'POST' ? text === body : /^version \d+\n$/.test(text);
        if (response.statusCode !== 200) resolve(`status ${response.statusCode} ${text.slice(0, 80)}`);
        else resolve(right ? null : `wrong answer ${text.slice(0, 80)}`);
      });
    });
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    asked.once('error', (error: NodeJS.ErrnoException) =>
      resolve(`${error.code ?? error.message}${asked.reusedSocket ? ' on a reused connection' : ''}`),
    );
    asked.end(method === 'POST' ? body : undefined);
  });
}

/** Upgrades, sends a few bytes, wants them back, and ends. The frames are the app's affair: it gives back what it gets. */
function webSocket({ port, host }: LoadOrder): Promise<string | null> {
  return new Promise((resolve) => {
    const headers = {
      ...{ host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    const asked = request({ host: '127.0.0.1', port, agent: false, path: '/socket', headers });
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error(`nothing back within ${timeoutMs} ms`)));
    asked.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.once('response', ({ statusCode }) => {
      resolve(`status ${statusCode}`);
      asked.destroy();
    });
    asked.once('upgrade', (_response, socket, head) => {
      let text = head.toString('latin1');
      socket.once('error', (error) => resolve(error.message));
      socket.once('close', () => resolve(text === 'ping' ? null : `closed after ${JSON.stringify(text)}`));
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
        if (text.length >= 4) socket.end();
      });
      socket.write('ping');
    });
    asked.end();
  });
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const failures: Record<string, number> = {};
  const latencies: number[] = [];
  const open = new Set<Promise<void>>();
  const started = performance.now();
  const begin = (i: number): void => {
    const due = started + (i * 1000) / order.perSecond;
    const method = i % 2 === 0 ? 'GET' : 'POST';
    const agent = i % 4 < 2 ? kept : false;
    const begunIn = phase;
    const ask = async (): Promise<void> => {
      const socket = order.webSockets === true && i % 10 === 9;
      const failure = await (socket ? webSocket(order) : one(order, method, agent));
      latencies.push(performance.now() - due);
      if (failure === null) return;
      const what = socket ? 'WebSocket' : `${method}, ${agent ? 'kept' : 'fresh'} connection`;
      const kind = `${what}, ${begunIn}: ${failure}`;
      failures[kind] = (failures[kind] ?? 0) + 1;
    };
    const asking = ask().finally(() => open.delete(asking));
    open.add(asking);
  };
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(order.requests, Math.floor(((performance.now() - started) / 1000) * order.perSecond));
      for (; sent < due; sent++) begin(sent);
      if (sent < order.requests) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(open);
  kept.destroy();
  const at = (fraction: number): number => Math.round(quantile(latencies, fraction) * 10) / 10;
  return { count: sent, failures, latency: { median: at(0.5), p99: at(0.99), most: at(1) } };
}

const [order] = (await once(process, 'message')) as [LoadOrder];
process.on('message', (message: { phase: string }) => (phase = message.phase));
process.send?.(await run(order));
// It may still be told of phases; it ends when its parent lets go of it.
