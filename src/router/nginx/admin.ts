/** The driver's side of the control socket: lines of text with tabs, since nginx's Lua has no JSON (lua/admin.ts). */
import { callSocket, unreachable } from '../control-socket.ts';

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

/** @throws PaasError `unavailable` for an answer that is none */
export async function askStatus(socketPath: string): Promise<NginxStatus> {
  const { status, text } = await callSocket(socketPath, 'GET /status');
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
  const { text } = await callSocket(socketPath, 'GET /traffic');
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
