/**
 * A program: requests at a steady rate over kept connections, and how long each takes from when it was due. Raw sockets and
 * short answers, so that little of what is measured is its own. Flags by position: port host connections rate seconds.
 */
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { userEnvironment } from '../../test/support/platform/cli.ts';
import { quantile } from './report.ts';

export interface Pacing {
  port: number;
  host: string;
  connections: number;
  perSecond: number;
  seconds: number;
}

export interface Paced {
  /** Milliseconds. */
  median: number;
  p99: number;
  failed: number;
}

/** Runs it in a process of its own. */
export function pace({ port, host, connections, perSecond, seconds }: Pacing): Paced {
  const self = fileURLToPath(import.meta.url);
  const flags = [String(port), host, String(connections), String(Math.round(perSecond)), String(seconds)];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, self, ...flags], {
    env: userEnvironment(),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the paced generator ends with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Paced;
}

/** Whoever is idle takes the request that has been due longest; none is sent before its time. */
async function generate({ port, host, connections, perSecond, seconds }: Pacing): Promise<Paced> {
  const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const latencies: number[] = [];
  const idle: Socket[] = [];
  const askedAt = new Map<Socket, number>();
  let failed = 0;
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        idle.push(socket);
        resolve();
      });
      socket.setNoDelay(true);
      socket.on('data', (answer) => {
        if (answer.toString('latin1', 9, 12) !== '200') failed++;
        latencies.push(performance.now() - (askedAt.get(socket) ?? 0));
        idle.push(socket);
      });
      socket.on('error', reject);
    });
  await Promise.all(Array.from({ length: connections }, open));
  const started = performance.now();
  const total = perSecond * seconds;
  let sent = 0;
  await new Promise<void>((resolve) => {
    const turn = (): void => {
      const now = performance.now();
      const due = Math.min(total, Math.floor(((now - started) / 1000) * perSecond));
      while (sent < due && idle.length > 0) {
        const socket = idle.shift()!;
        askedAt.set(socket, started + (sent / perSecond) * 1000);
        socket.write(request);
        sent++;
      }
      if (sent < total) setTimeout(turn, 1);
      else resolve();
    };
    turn();
  });
  const deadline = performance.now() + 5000;
  while (latencies.length < sent && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5));
  failed += sent - latencies.length;
  // The first tenth warms up.
  const counted = latencies.slice(Math.floor(latencies.length / 10));
  return { median: quantile(counted, 0.5), p99: quantile(counted, 0.99), failed };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, host, connections, perSecond, seconds] = process.argv.slice(2);
  const result = await generate({
    port: Number(port),
    host: host!,
    connections: Number(connections),
    perSecond: Number(perSecond),
    seconds: Number(seconds),
  });
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}
