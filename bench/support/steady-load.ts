/**
 * A program: requests at a steady rate, whether earlier ones are answered or not. In turns GET and POST, over kept and over
 * fresh connections. Its parent says what to ask and what is going on meanwhile, and gets the result, by messages.
 */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { quantile } from './report.ts';

export interface LoadOrder {
  port: number;
  host: string;
  requests: number;
  perSecond: number;
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
      const failure = await one(order, method, agent);
      latencies.push(performance.now() - due);
      if (failure === null) return;
      const kind = `${method}, ${agent ? 'kept' : 'fresh'} connection, ${begunIn}: ${failure}`;
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
