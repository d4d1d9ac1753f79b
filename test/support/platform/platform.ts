/** A whole platform of its own on this machine, driven only through its programs: the CLI, HTTP, signals. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { signSpeedycloudHeader } from '../../../src/clouds/signing/speedycloud.ts';
import type { AppSummary, InstanceRow, LogGap, LogLine } from '../../../src/shared/contracts/api.ts';
import { ask, SteadyLoad, type Answer, type Asked } from './http.ts';
import { CliResult, runCli, startCli, type CliOptions, type RunningCli } from './cli.ts';
import { allOf, groupsOf, killNow, processesOf, type PlatformProcesses } from './processes.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/apps', import.meta.url));

export interface PlatformOptions {
  /** closed: as `~/.paas` of root is, so that hosts live in /var/lib/paas. */
  home?: 'open' | 'closed';
  /** For `paas up`. */
  flags?: string[];
  env?: NodeJS.ProcessEnv;
  /** false: `paas up` is left to the test. */
  up?: boolean;
  /** Directory below which everything of it lives, instead of that for temporary files. */
  under?: string;
}

export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const platform = new Platform(options);
  if (options.up === false) return platform;
  try {
    await platform.up();
  } catch (error) {
    await platform.remove();
    throw error;
  }
  return platform;
}

export class Platform {
  /** Everything of this platform but hosts in /var/lib/paas. */
  readonly root: string;
  readonly home: string;
  readonly #flags: string[];
  readonly #env: NodeJS.ProcessEnv;
  /** Control groups seen, which must be gone at the end. */
  readonly #groups = new Set<string>();
  #hostRoot: string | undefined;
  url = '';
  routerPort = 0;

  constructor({ home = 'open', flags = [], env = {}, under = tmpdir() }: PlatformOptions) {
    this.root = realpathSync(mkdtempSync(join(under, 'paas-e2e-')));
    chmodSync(this.root, 0o711);
    this.home = join(this.root, 'home');
    mkdirSync(this.home);
    chmodSync(this.home, home === 'open' ? 0o711 : 0o700);
    this.#flags = flags;
    this.#env = env;
  }

  /** `paas up`, the first time on free ports. */
  async up(flags: readonly string[] = this.#flags): Promise<CliResult> {
    const ports = this.url === '' ? ['--port', '0', '--router-port', '0'] : [];
    const result = await this.ok(['up', ...ports, ...flags]);
    const { server, router } = (await this.ok(['status', '--json'])).json() as {
      server: { url: string };
      router: { url: string };
    };
    this.url = server.url;
    this.routerPort = Number(new URL(router.url).port);
    return result;
  }

  /** Runs the CLI. App commands find no manifest unless `cwd` says where. */
  cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return runCli(args, this.#with(options));
  }

  /** Runs the CLI and insists on exit 0. */
  async ok(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const result = await this.cli(args, options);
    if (result.code !== 0) throw new Error(`${result.toString()}\n${this.logTails()}`);
    return result;
  }

  /** Runs the CLI with --json, insists on exit 0 and answers the document. */
  async json<T = Record<string, unknown>>(args: readonly string[], options: CliOptions = {}): Promise<T> {
    const dashes = args.indexOf('--');
    const at = dashes < 0 ? args.length : dashes;
    return (await this.ok([...args.slice(0, at), '--json', ...args.slice(at)], options)).json() as T;
  }

  start(args: readonly string[], options: CliOptions & { keepInput?: boolean } = {}): RunningCli {
    return startCli(args, { ...options, ...this.#with(options) });
  }

  #with(options: CliOptions): CliOptions {
    return { ...options, cwd: options.cwd ?? this.root, env: { ...this.#env, PAAS_HOME: this.home, ...options.env } };
  }

  /** A request to an app through the router. */
  get(host: string, path = '/', asked: Asked = {}): Promise<Answer> {
    return ask(this.routerPort, host, path, asked);
  }

  load(host: string, path = '/', headers?: Record<string, string>): SteadyLoad {
    return new SteadyLoad(this.routerPort, host, path, headers);
  }

  ps(app: string, ...flags: string[]): Promise<InstanceRow[]> {
    return this.json(['ps', '-a', app, ...flags]);
  }

  async app(name: string): Promise<AppSummary | undefined> {
    return (await this.json<AppSummary[]>(['apps'])).find((app) => app.name === name);
  }

  async logs(app: string, ...flags: string[]): Promise<(LogLine & LogGap)[]> {
    return (await this.ok(['logs', '-a', app, '--json', ...flags])).jsonLines<LogLine & LogGap>();
  }

  /** A copy of a fixture app, with files changed or added; a value of null removes one. */
  source(fixture: string, files: Record<string, string | null> = {}): string {
    const directory = this.directory(files);
    cpSync(join(fixtures, fixture), directory, { recursive: true, force: false });
    for (const [path, content] of Object.entries(files))
      if (content === null) rmSync(join(directory, path), { recursive: true });
    return directory;
  }

  /** A directory with these files. */
  directory(files: Record<string, string | null> = {}): string {
    const directory = mkdtempSync(join(this.root, 'app-'));
    for (const [path, content] of Object.entries(files)) {
      if (content === null) continue;
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    }
    return directory;
  }

  /** Asks until the answer is neither false, null nor undefined, nor an error. */
  async waitFor<T>(
    what: string,
    condition: () => T | Promise<T>,
    timeoutMs = 60_000,
  ): Promise<NonNullable<Exclude<T, false>>> {
    const deadline = Date.now() + timeoutMs;
    let last: unknown;
    for (;;) {
      try {
        last = await condition();
        if (last !== undefined && last !== null && last !== false) return last as NonNullable<Exclude<T, false>>;
      } catch (error) {
        last = error;
      }
      if (Date.now() > deadline) {
        throw new Error(`waited ${timeoutMs / 1000} s for ${what}; last: ${String(last)}\n${this.logTails()}`, {
          cause: last,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Until the router answers with 200 and a text. */
  serves(host: string, text: string, path = '/', timeoutMs?: number): Promise<Answer> {
    const isThere = async (): Promise<Answer | false> => {
      const answer = await this.get(host, path);
      return answer.status === 200 && answer.text.includes(text) && answer;
    };
    return this.waitFor(`${host}${path} to answer \`${text}\``, isThere, timeoutMs);
  }

  /** Until an app's instances are exactly these: `{web: 2}`, all healthy. */
  async settled(app: string, counts: Record<string, number>, timeoutMs?: number): Promise<InstanceRow[]> {
    return this.waitFor(
      `${app} to have ${JSON.stringify(counts)} healthy and nothing else`,
      async () => {
        const rows = await this.ps(app);
        const wrong = Object.entries(counts).some(
          ([type, count]) => rows.filter((row) => row.type === type).length !== count,
        );
        return !wrong && rows.every((row) => row.state === 'healthy' && Object.hasOwn(counts, row.type)) && rows;
      },
      timeoutMs,
    );
  }

  get #directories(): string[] {
    return [this.home, ...(this.hostRoot === undefined || this.hostRoot.startsWith(this.home) ? [] : [this.hostRoot])];
  }

  /** Where hosts keep their data, as last known: a test may damage or remove the file that says so. */
  get hostRoot(): string | undefined {
    const path = join(this.home, 'platform', 'local.json');
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    this.#hostRoot = /^\{"hostRoot":"([^"]+)"\}$/.exec(text)?.[1] ?? this.#hostRoot;
    return this.#hostRoot;
  }

  processes(): PlatformProcesses {
    const found = processesOf(this.#directories);
    for (const group of groupsOf(allOf(found))) this.#groups.add(group);
    return found;
  }

  /** The only process of a kind. */
  pid(kind: keyof PlatformProcesses): number {
    const [first, ...rest] = this.processes()[kind];
    if (!first || rest.length > 0) throw new Error(`not one of ${kind}: ${JSON.stringify([first, ...rest])}`);
    return first.pid;
  }

  /** Changes the control plane's configuration file, as an operator does, and starts it anew. */
  async configure(change: Record<string, unknown>): Promise<void> {
    const path = join(this.home, 'platform', 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    await killNow([this.pid('servers')], 'SIGTERM');
    writeFileSync(path, JSON.stringify({ ...config, ...change }), { mode: 0o600 });
    await this.up();
  }

  /** `kill -9` of every process there is: what a reboot leaves. */
  async killEverything(): Promise<void> {
    for (let left = allOf(this.processes()); left.length > 0; left = allOf(this.processes()))
      await killNow(left.map(({ pid }) => pid));
  }

  /** The embedded cloud's own account of its hosts. */
  cloudHosts(): Promise<
    { id: number; name: string; status: string; tags: string; ips: string[]; bootscript?: string }[]
  > {
    return this.cloud('GET', '/cloud_servers');
  }

  /** A call to the embedded cloud, signed as any other SpeedyCloud account's. */
  cloud<T>(method: string, path: string): Promise<T> {
    const file = (name: string): unknown =>
      JSON.parse(readFileSync(join(this.home, 'platform', 'cloud', name), 'utf8'));
    const headers = signSpeedycloudHeader((file('credentials.json') as { apiKey: string }).apiKey, new Date());
    const { url } = file('endpoint.json') as { url: string };
    return new Promise((resolve, reject) => {
      request(`${url}/api/v1/products${path}`, { method, headers: { ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(text) as T);
          else reject(new Error(`the cloud answers ${response.statusCode}: ${text}`));
        });
      })
        .once('error', reject)
        .end();
    });
  }

  /** Ends of the platform's own logs, for messages of failed tests. */
  logTails(lines = 12): string {
    const tails = ['server.log', 'cloud.log'].map((name) => {
      const path = join(this.home, 'logs', name);
      const text = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines) : ['(none)'];
      return `--- ${name}\n${text.map((line) => line.slice(0, 600)).join('\n')}`;
    });
    return tails.join('\n');
  }

  /**
   * For `afterAll`: `paas down --purge`; whatever happened before, nothing is left of this platform.
   * @throws when the platform itself left something behind
   */
  async remove(): Promise<void> {
    this.processes();
    const hostRoot = this.hostRoot;
    const down = await this.cli(['down', '--purge', '--yes']).catch(
      (error: unknown) => new CliResult('paas down', -1, '', String(error)),
    );
    const left = [
      ...allOf(this.processes()).map(({ pid, command }) => `process ${pid}: ${command}`),
      ...[...this.#groups].filter((group) => existsSync(group)).map((group) => `control group ${group}`),
      ...[hostRoot, join(this.home, 'platform')].flatMap((path) =>
        path !== undefined && existsSync(path) ? [`directory ${path}`] : [],
      ),
    ];
    await this.killEverything();
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
    if (hostRoot !== undefined) rmSync(hostRoot, { recursive: true, force: true, maxRetries: 5 });
    if (down.code !== 0 || left.length > 0)
      throw new Error(`the platform left behind: ${left.join('; ') || 'nothing'}\n${down.toString()}`);
  }
}
