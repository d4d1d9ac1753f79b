/**
 * The embedded cloud, a program of its own: `paas-cloud --data DIR --agent FILE [--listen 127.0.0.1:0] [--host-root DIR]`.
 *
 *   DIR/credentials.json  {"apiKey": "…"}, 0600, made by whoever starts it
 *   DIR/endpoint.json     {"url", "pid", "version"}, while it listens
 *   DIR/state.json        hosts and jobs        DIR/cloud.log   its log        DIR/cloud.lock
 *   --host-root           a directory for each host; other users must be able to reach it, since apps run as users of
 *                         their own (default DIR/hosts)
 *
 * SIGTERM ends this program and leaves the hosts running; its next start takes them over. POST /platform/shutdown
 * powers all hosts off and ends it; its next start boots them.
 */
import { once } from 'node:events';
import { accessSync, chmodSync, constants, mkdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { errnoOf, PaasError } from '../shared/errors.ts';
import { readJsonFile, writeDurably } from '../shared/files.ts';
import { acquireLock } from '../shared/lock-file.ts';
import { version } from '../shared/version.ts';
import { credentialsFile, type LocalCloudEndpoint } from './client.ts';
import { Fleet } from './fleet.ts';
import { openLog } from './log.ts';
import { createRouter } from './routes.ts';
import { createCloudServer } from './server.ts';
import { openState, type CloudState } from './state.ts';

interface Options {
  data: string;
  agent: string;
  hostRoot: string;
  host: string;
  port: number;
  maxHosts: number;
  graceMs: number;
  bootDelayMs: number;
}

/**
 * Runs until it is told to end (SIGTERM, SIGINT, /platform/shutdown).
 * @returns the exit code 0
 * @throws PaasError usage, locked (another one runs on this directory), corrupt, conflict (port taken, data of a later version)
 */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<number> {
  // Directories of hosts are to be passable by their apps' users; what is private says so wherever it is made.
  process.umask(0o022);
  const options = parse(argv);
  const lock = acquireLock(
    join(options.data, 'cloud.lock'),
    `the data directory ${options.data} of the embedded cloud`,
  );
  const endpointPath = join(options.data, 'endpoint.json');
  try {
    const credentials = readCredentials(options.data);
    const log = openLog(join(options.data, 'cloud.log'));
    const state = openState(options.data, log);
    const fleet = new Fleet({ ...options, agentPath: options.agent, state, env, log });
    const end = new AbortController();
    const shutdown = async () => {
      await fleet.shutdown();
      // The answer is sent before the server closes.
      setImmediate(() => end.abort());
    };
    const server = createCloudServer({ ...credentials, log, route: createRouter(fleet, shutdown) });
    const url = await listen(server, options, state);
    // Only now: a second cloud that cannot listen must not have touched any host.
    fleet.recover();
    const endpoint: LocalCloudEndpoint = { url, pid: process.pid, version };
    writeDurably(endpointPath, JSON.stringify(endpoint));
    log('info', 'listening', { url, hosts: fleet.hosts().length });
    await told(end);
    await fleet.close();
    await close(server);
    log('info', 'ended');
    return 0;
  } finally {
    rmSync(endpointPath, { force: true });
    lock.release();
  }
}

function parse(argv: string[]): Options {
  const { values } = parseFlags(argv);
  const data = directory(values.data, '--data');
  const agent = resolve(required(values.agent, '--agent'));
  try {
    accessSync(agent, constants.R_OK);
  } catch (cause) {
    throw new PaasError('usage', `--agent: ${agent} cannot be read`, { cause });
  }
  const [, host, port] = /^(127(?:\.\d{1,3}){3}):(\d{1,5})$/.exec(values.listen) ?? [];
  if (host === undefined || Number(port) > 65_535) {
    throw new PaasError('usage', `--listen: ${values.listen} is not a loopback address with a port`, {
      hint: 'The API sends its key in clear, so it listens on 127.x.y.z:PORT only.',
    });
  }
  return {
    data,
    agent: realpathSync(agent),
    hostRoot: directory(values['host-root'] ?? join(data, 'hosts'), '--host-root'),
    host,
    port: Number(port),
    maxHosts: whole(values['max-hosts'], '--max-hosts'),
    graceMs: whole(values['grace-ms'], '--grace-ms'),
    bootDelayMs: whole(values['boot-delay-ms'], '--boot-delay-ms'),
  };
}

function parseFlags(args: string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args,
      options: {
        data: text,
        agent: text,
        'host-root': text,
        listen: { ...text, default: '127.0.0.1:0' },
        'max-hosts': { ...text, default: '32' },
        'grace-ms': { ...text, default: '10000' },
        'boot-delay-ms': { ...text, default: '0' },
      },
    });
  } catch (cause) {
    throw new PaasError('usage', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined || value === '') throw new PaasError('usage', `${flag} is missing`);
  return value;
}

function whole(value: string, flag: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new PaasError('usage', `${flag}: ${value} is not a whole number`);
  return Number(value);
}

/**
 * A directory of ours by its real path. A missing one is created so that other users can pass through it: apps run as
 * users of their own below the hosts' directories. All files beside them are 0600.
 */
function directory(value: string | undefined, flag: string): string {
  const path = resolve(required(value, flag));
  if (mkdirSync(path, { recursive: true, mode: 0o711 }) !== undefined) chmodSync(path, 0o711);
  return realpathSync(path);
}

function readCredentials(data: string): { apiKey: string } {
  const path = join(data, 'credentials.json');
  const credentials = readJsonFile(path, credentialsFile);
  if (!credentials) throw new PaasError('usage', `${path} is missing: it must hold the API key of this cloud`);
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new PaasError('usage', `${path} can be read by other users`, { hint: `chmod 600 ${path}` });
  }
  return credentials;
}

/** Listens, and remembers the port. When any port will do, the last one is tried first: clients remember it. */
async function listen(server: Server, options: Options, state: CloudState): Promise<string> {
  const { host } = options;
  const ports = options.port === 0 ? [state.record.port ?? 0, 0] : [options.port];
  for (const [index, port] of ports.entries()) {
    try {
      server.listen(port, host);
      await once(server, 'listening');
      break;
    } catch (error) {
      if (errnoOf(error) !== 'EADDRINUSE') throw error;
      if (index < ports.length - 1) continue;
      throw new PaasError('conflict', `port ${port} of ${host} is taken by another program`, {
        hint: 'Choose another port, or 0 for any free one.',
        cause: error,
      });
    }
  }
  const { port } = server.address() as AddressInfo;
  if (port !== state.record.port) {
    state.record.port = port;
    state.note();
  }
  return `http://${host}:${port}`;
}

async function told(end: AbortController): Promise<void> {
  const stop = () => end.abort();
  process.on('SIGTERM', stop).on('SIGINT', stop);
  try {
    if (!end.signal.aborted) await once(end.signal, 'abort');
  } finally {
    process.off('SIGTERM', stop).off('SIGINT', stop);
  }
}

/** Stops listening; requests under way are answered, idle connections closed. */
async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const impatience = setTimeout(() => server.closeAllConnections(), 1_000);
  await closed;
  clearTimeout(impatience);
}
