/** Runs commands in this process against a server that checks signatures, with streams that remember. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach } from 'vitest';
import { run } from '../../../../src/cli/run.ts';
import type { Streams } from '../../../../src/cli/ui/ui.ts';
import type { Deployment } from '../../../../src/shared/contracts/api.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { credentials, startPlatform, type FakePlatform, type Seen } from '../client/platform.ts';

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  /** Standard output as one JSON document. */
  json: () => unknown;
}

export function fakeStreams(
  input: string | string[] = '',
  terminal = false,
): { streams: Streams; stdout: () => string; stderr: () => string } {
  const make = () =>
    Object.assign(new PassThrough({ highWaterMark: 1 << 20 }), { isTTY: terminal, columns: 100, rows: 30 });
  const [stdin, stdout, stderr] = [make(), make(), make()];
  const text = { stdout: '', stderr: '' };
  stdout.setEncoding('utf8').on('data', (chunk: string) => (text.stdout += chunk));
  stderr.setEncoding('utf8').on('data', (chunk: string) => (text.stderr += chunk));
  for (const part of [input].flat()) stdin.write(part);
  stdin.end();
  const streams = { stdin, stdout, stderr } as unknown as Streams;
  return { streams, stdout: () => text.stdout, stderr: () => text.stderr };
}

/** By `METHOD /path`, without the query; a function sees the request. */
export type Api = Record<string, object | ((seen: Seen) => object)>;

/** Text to be sent as it is, in pieces. */
export class Raw {
  readonly type: string;
  readonly text: string;
  constructor(type: string, text: string) {
    this.type = type;
    this.text = text;
  }
}

export const events = (...parts: [event: string, data: unknown][]): Raw =>
  new Raw(
    'text/event-stream',
    parts.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(''),
  );

export interface Harness {
  /** Replaces what the platform answers. */
  api: (api: Api) => void;
  paas: (argv: string[], options?: { env?: Record<string, string>; input?: string | string[] }) => Promise<Outcome>;
  /** What leads commands to the platform, for those that a test runs itself. */
  env: () => Record<string, string>;
  platform: FakePlatform;
  home: string;
  /** What the platform was asked, as `METHOD /path`. */
  asked: () => string[];
  body: (method: string) => unknown;
}

export function harness(): Harness {
  const state = {} as Harness;
  beforeEach(async () => {
    state.home = mkdtempSync(join(tmpdir(), 'paas-cli-'));
    state.platform = await startPlatform((_, response) => response.end('{}'));
    state.api = (api) =>
      state.platform.handle((seen, response) => {
        const key = `${seen.method} ${seen.url.split('?')[0] ?? ''}`;
        const given = api[key];
        if (given === undefined) throw new PaasError('not_found', `There is no ${key}.`);
        const answer: unknown = typeof given === 'function' ? (given as (seen: Seen) => unknown)(seen) : given;
        if (answer instanceof Raw) response.writeHead(200, { 'Content-Type': answer.type }).end(answer.text);
        else response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
      });
    state.env = () => ({
      ...{ PAAS_HOME: state.home, PAAS_URL: state.platform.url },
      ...{ PAAS_KEY_ID: credentials.keyId, PAAS_KEY_SECRET: credentials.keySecret },
    });
    state.paas = async (argv, options = {}) => {
      const { streams, stdout, stderr } = fakeStreams(options.input);
      const code = await run(argv, { ...state.env(), ...options.env }, streams);
      return { code, stdout: stdout(), stderr: stderr(), json: () => JSON.parse(stdout()) as unknown };
    };
    state.asked = () => state.platform.seen.map(({ method, url }) => `${method} ${url}`);
    state.body = (method) =>
      JSON.parse(state.platform.seen.findLast((seen) => seen.method === method)?.body ?? 'null') as unknown;
  });
  afterEach(async () => {
    await state.platform.stop();
    rmSync(state.home, { recursive: true, force: true });
  });
  return state;
}

export const shop = '/v1/projects/default/environments/dev/apps/shop';

export function deployment(more: Partial<Deployment> = {}): Deployment {
  return {
    ...{ id: 'dep_1', kind: 'push', app: 'shop', project: 'default', environment: 'dev', state: 'building' },
    ...{ changed: true, release: null, url: null, build: null, rollout: null, error: null },
    ...{ createdAt: '2026-11-21T10:00:00.000Z', finishedAt: null },
    ...more,
  };
}

export const ended = (more: Partial<Deployment> = {}): Deployment =>
  deployment({
    state: 'succeeded',
    release: 2,
    url: 'http://shop.localhost:8080',
    finishedAt: '2026-11-21T10:00:02.000Z',
    ...more,
  });

/** A directory with an app in it, removed after the test by the caller. */
export function appDirectory(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'paas-app-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}
