/** A PostgreSQL server of a test's own, on a Unix socket in a temporary directory. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Directory of the newest PostgreSQL's programs, or null when none is installed. */
export function postgresPrograms(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const places = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(':'),
  ];
  return places.find((place) => existsSync(join(place, 'initdb')) && existsSync(join(place, 'postgres'))) ?? null;
}

/** PostgreSQL refuses to run as root: there is a user for it then. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('postgres:'));
  const [, , uid, gid] = entry?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('there is no user `postgres` on this machine');
  return { uid: Number(uid), gid: Number(gid) };
}

export class PostgresServer {
  readonly #directory: string;
  readonly #process: ChildProcess;
  #databases = 0;

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory;
    this.#process = child;
  }

  /** Makes and starts a server; takes a few seconds. `stop` removes it. */
  static async start(programs: string): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), 'paas-pg-'));
    const user = serverUser();
    if (user) chownSync(directory, user.uid, user.gid);
    const data = join(directory, 'data');
    const options = { ...user, cwd: directory, env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
    const init = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions'];
    execFileSync(join(programs, 'initdb'), init, { ...options, stdio: 'pipe' });
    // Durability across power cuts is PostgreSQL's own affair: fsync would only slow this down.
    const settings = ['listen_addresses=', `unix_socket_directories=${directory}`, 'fsync=off'];
    const child = spawn(join(programs, 'postgres'), ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
      ...options,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    const server = new PostgresServer(directory, child);
    for (let tries = 0; ; tries++) {
      try {
        await server.query('select 1');
        return server;
      } catch (error) {
        if (child.exitCode !== null || tries > 300)
          throw new Error(`PostgreSQL does not start: ${complaints}`, { cause: error });
        await sleep(100);
      }
    }
  }

  #url(database: string): string {
    return `postgres://postgres@/${database}?host=${encodeURIComponent(this.#directory)}`;
  }

  /** Runs a statement in the server's own database. */
  async query(text: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: this.#url('postgres') });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** A new, empty database; answers its URL. */
  async database(): Promise<string> {
    return this.#url(await this.#create());
  }

  async #create(): Promise<string> {
    const name = `test_${++this.#databases}`;
    await this.query(`create database ${name}`);
    return name;
  }

  /** A new, empty database behind a proxy; answers its URL through that. */
  async behindProxy(): Promise<{ url: string; proxy: PostgresProxy }> {
    const name = await this.#create();
    const proxy = await PostgresProxy.to(join(this.#directory, '.s.PGSQL.5432'));
    return { url: `postgres://postgres@127.0.0.1:${proxy.port}/${name}`, proxy };
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGQUIT');
      await once(this.#process, 'close');
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A network before a server of `PostgresServer`, that fails as networks do. */
export class PostgresProxy {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  private constructor(socket: string) {
    this.#server = createServer((near) => {
      const far = connect(socket);
      for (const end of [near, far]) {
        end.on('error', () => undefined);
        end.on('close', () => [near, far].forEach((one) => one.destroy()));
        this.#sockets.push(end);
      }
      near.pipe(far).pipe(near);
    });
  }

  /** Before what listens on the Unix socket. */
  static async to(socket: string): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(socket);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing passes any more through the present connections, which stay open. */
  freeze(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** The present connections end at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
