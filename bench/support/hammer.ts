/** As many requests as a server takes, over kept connections, one at a time on each: by wrk, or by a program of our own. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { userEnvironment } from '../../test/support/platform/cli.ts';
import { isInstalled } from './programs.ts';
import { quantile } from './report.ts';

export interface Hammering {
  port: number;
  host: string;
  connections: number;
  seconds: number;
  /** Of the generator. */
  core: number | null;
}

export interface Hammered {
  requests: number;
  failed: number;
  seconds: number;
  /** Of the answers, in milliseconds. */
  p99: number;
}

const wrk = isInstalled('wrk');

export const hammer = {
  name: wrk ? 'by wrk' : 'by a Node program (install wrk for a lighter one)',
  async run({ port, host, connections, seconds, core }: Hammering): Promise<Hammered> {
    const self = fileURLToPath(import.meta.url);
    const command = wrk
      ? [
          'wrk',
          '-t',
          '1',
          '-c',
          String(connections),
          '-d',
          `${seconds}s`,
          '--latency',
          '-H',
          `Host: ${host}`,
          `http://127.0.0.1:${port}/`,
        ]
      : [process.execPath, ...process.execArgv, self, String(port), host, String(connections), String(seconds)];
    const output = await outputOf(core === null ? command : ['taskset', '-c', String(core), ...command]);
    return wrk ? readWrk(output) : (JSON.parse(output) as Hammered);
  },
};

function outputOf([program, ...args]: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'], env: userEnvironment() });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ends with ${code}: ${output}`));
    });
  });
}

function readWrk(output: string): Hammered {
  const requests = /(\d+) requests in ([\d.]+)s/.exec(output);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(output);
  if (!requests) throw new Error(`wrk says: ${output}`);
  const failed = [...(errors?.slice(1) ?? []), refused?.[1] ?? '0'].reduce((sum, n) => sum + Number(n), 0);
  const [, p99 = '', unit = ''] = /^ +99% +([\d.]+)(us|ms|s)$/m.exec(output) ?? [];
  return {
    requests: Number(requests[1]),
    failed,
    seconds: Number(requests[2]),
    p99: Number(p99) * ({ us: 0.001, ms: 1 }[unit] ?? 1000),
  };
}

/** The generator itself. Answers are taken as they come: short ones, of which each arrives in one piece. */
async function generate(port: number, host: string, connections: number, seconds: number): Promise<Hammered> {
  const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const result: Hammered = { requests: 0, failed: 0, seconds, p99: 0 };
  const latencies: number[] = [];
  const end = performance.now() + seconds * 1000;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      let asked = 0;
      const ask = (): void => {
        asked = performance.now();
        socket.write(request);
      };
      const socket = connect(port, '127.0.0.1', ask);
      socket.setNoDelay(true);
      socket.on('data', (answer) => {
        result.requests++;
        latencies.push(performance.now() - asked);
        if (answer.toString('latin1', 9, 12) !== '200') result.failed++;
        if (performance.now() < end) ask();
        else socket.destroy();
      });
      socket.on('error', () => result.failed++);
      socket.on('close', resolve);
    });
  await Promise.all(Array.from({ length: connections }, one));
  return { ...result, p99: quantile(latencies, 0.99) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, host, connections, seconds] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(await generate(Number(port), host!, Number(connections), Number(seconds))));
}
