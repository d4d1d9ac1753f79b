/** The driver's side of the control socket: lines of text with tabs, since nginx's Lua has no JSON (lua/admin.ts). */
import { request } from 'node:http';
import { errnoOf, PaasError } from '../../shared/errors.ts';

export interface NginxStatus {
  version: number;
  generation: number;
  /** Of this life of the master process. */
  epoch: string;
  /** Which configuration the worker that answered runs with. */
  configuration: string;
  problem?: string;
  /** Requests under way by slot; slots without any are left out. */
  open: Map<number, number>;
  ejected: number[];
}

export interface CounterLine {
  counter: number;
  classes: number[];
  latency: number[];
}

const timeoutMs = 15_000;

/** @throws PaasError `unavailable` (nobody listens, or nginx broke off), `timeout` */
export function askNginx(socketPath: string, call: string, body = ''): Promise<{ status: number; text: string }> {
  const [method = '', path = ''] = call.split(' ');
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => {
      if (cause instanceof PaasError) reject(cause);
      else reject(unreachable(socketPath, errnoOf(cause) ?? cause.message, cause));
    };
    const headers = { host: 'router', 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath, method, path, headers, agent: false, timeout: timeoutMs }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') });
      });
    });
    outgoing.on('timeout', () => {
      outgoing.destroy(new PaasError('timeout', `nginx did not answer ${method} within ${timeoutMs / 1000} s.`));
    });
    outgoing.on('error', failed);
    outgoing.end(body);
  });
}

/** @param cause absent where it is known without asking */
export function unreachable(socketPath: string, reason: string, cause?: Error): PaasError {
  return new PaasError('unavailable', `The router does not answer at ${socketPath} (${reason}).`, {
    hint: 'It is started again by itself; see `paas status`.',
    cause,
  });
}

/** @throws PaasError `unavailable` for an answer that is none */
export async function askStatus(socketPath: string): Promise<NginxStatus> {
  const { status, text } = await askNginx(socketPath, 'GET /status');
  if (status !== 200) throw unreachable(socketPath, `status ${status}`);
  return readStatus(text);
}

export function readStatus(text: string): NginxStatus {
  const status: NginxStatus = {
    ...{ version: 0, generation: 0, epoch: '', configuration: '' },
    ...{ open: new Map<number, number>(), ejected: [] },
  };
  for (const [name, value = '', more = ''] of fields(text)) {
    if (name === 'version' || name === 'generation') status[name] = Number(value);
    else if (name === 'epoch' || name === 'configuration' || name === 'problem') status[name] = value;
    else if (name === 'open') status.open.set(Number(value), Number(more));
    else if (name === 'ejected') status.ejected.push(Number(value));
  }
  return status;
}

export async function askTraffic(socketPath: string): Promise<{ epoch: string; counts: CounterLine[] }> {
  const { text } = await askNginx(socketPath, 'GET /traffic');
  let epoch = '';
  const counts: CounterLine[] = [];
  const numbers = (list: string): number[] => list.split(' ').map(Number);
  for (const [name, value = '', classes = '', latency = ''] of fields(text)) {
    if (name === 'epoch') epoch = value;
    else counts.push({ counter: Number(value), classes: numbers(classes), latency: numbers(latency) });
  }
  return { epoch, counts };
}

const fields = (text: string): string[][] => text.split('\n').map((line) => line.split('\t'));
