import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import { appDirectory, fakeStreams, harness, Raw, shop } from './support.ts';
import { run } from '../../../../src/cli/run.ts';

const cli = harness();
const row = {
  name: 'shop',
  project: 'default',
  environment: 'dev',
  state: 'healthy',
  release: 3,
  instances: { desired: 2, healthy: 2 },
  urls: ['http://shop.localhost:8080'],
};

describe('what every command does', () => {
  it('prints JSON and nothing else with --json, wherever that stands', async () => {
    cli.api({ 'GET /v1/apps': [row] });
    for (const argv of [
      ['apps', '--json'],
      ['--json', 'apps'],
    ]) {
      const { code, json, stderr } = await cli.paas(argv);
      expect({ code, json: json(), stderr }).toEqual({ code: 0, json: [row], stderr: '' });
    }
  });
  it('prints a plain table for people when nobody sits there', async () => {
    cli.api({ 'GET /v1/apps': [row] });
    const { stdout, stderr } = await cli.paas(['apps']);
    expect(stdout).toBe(
      'APP   PROJECT  ENV  STATE    RELEASE  INSTANCES  URL\n' +
        'shop  default  dev  healthy  v3       2/2        http://shop.localhost:8080\n',
    );
    expect(stderr).toContain('the platform is 9.9.9');
  });
  it('gives errors of the platform with their exit code, on stderr or as JSON', async () => {
    cli.api({
      [`GET ${shop}`]: () => {
        throw new PaasError('not_found', 'There is no app shop.', { hint: 'See `paas apps`.' });
      },
    });
    const plain = await cli.paas(['app', 'shop']);
    expect(plain).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('Error: There is no app shop.\n  See `paas apps`.\n') as string,
    });
    const { code, json } = await cli.paas(['app', 'shop', '--json']);
    expect(code).toBe(5);
    expect(json()).toEqual({
      error: { code: 'not_found', message: 'There is no app shop.', hint: 'See `paas apps`.', details: {} },
    });
  });
  it('writes a private debug log for a bug, and names it', async () => {
    cli.api({ 'GET /v1/apps': { surprising: true } });
    const { code, stderr } = await cli.paas(['apps']);
    const [name = ''] = readdirSync(join(cli.home, 'logs'));
    const file = join(cli.home, 'logs', name);
    expect({ code, mode: statSync(file).mode & 0o777 }).toEqual({ code: 1, mode: 0o600 });
    expect(stderr).toContain(`Debug log: ${file}`);
    expect(readFileSync(file, 'utf8')).toMatch(/command: paas apps\n[\s\S]*TypeError/);
  });
  it('says where to begin when no platform is chosen', async () => {
    const { streams, stderr } = fakeStreams();
    expect(await run(['apps'], { PAAS_HOME: cli.home }, streams)).toBe(4);
    expect(stderr()).toContain('Run `paas up`');
  });
  it('shows help without a platform', async () => {
    const { streams, stdout } = fakeStreams();
    expect(await run(['push', '--help'], { PAAS_HOME: cli.home }, streams)).toBe(0);
    expect(stdout()).toContain('paas push [APP] [flags]');
    const index = fakeStreams();
    expect(await run([], { PAAS_HOME: cli.home }, index.streams)).toBe(0);
    expect(index.stdout()).toContain('paas rollout cancel');
  });
});

describe('which app', () => {
  it('is the flag, else PAAS_APP, in the project and environment that are named', async () => {
    cli.api({ '*': {} });
    await cli.paas(['ps', '-a', 'one', '-p', 'store', '-e', 'prod']);
    await cli.paas(['ps'], { env: { PAAS_APP: 'two', PAAS_PROJECT: 'acme', PAAS_ENV: 'test' } });
    expect(cli.asked()).toEqual([
      'GET /v1/projects/store/environments/prod/apps/one/instances',
      'GET /v1/projects/acme/environments/test/apps/two/instances',
    ]);
  });
  it('has to be clear and a name', async () => {
    expect(await cli.paas(['app', 'one', '-a', 'two'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Which app: one or two?') as string,
    });
    expect(await cli.paas(['ps', '-a', '../x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is no name') as string,
    });
    expect((await cli.paas(['ps'])).stderr).toContain('Name it: `-a APP`');
  });
});

describe('which app, with a mistake in the manifest', () => {
  const broken = (head: string): void => {
    const directory = appDirectory({ 'paas.yml': `${head}\nprocesses: { web: { comand: x } }\n` });
    made.push(directory);
    vi.spyOn(process, 'cwd').mockReturnValue(directory);
  };
  const made: string[] = [];
  afterEach(() => {
    vi.restoreAllMocks();
    made.splice(0).forEach((path) => rmSync(path, { recursive: true }));
  });

  it.each([
    ['name: shop\nproject: store', 'store'],
    ['project: "store" # ours\r\nname: shop\r', 'store'],
    ['\uFEFFproject: store\nname: shop', 'store'],
    ['name: shop', 'default'],
  ])('is the one of the project that it names: %j', async (head, project) => {
    broken(head);
    await cli.paas(['ps']);
    expect(cli.asked()).toEqual([`GET /v1/projects/${project}/environments/dev/apps/shop/instances`]);
  });
  it.each(['name: shop\nproject: [store]', 'name: shop\nproject: a\nproject: b', 'name: a\nname: b', 'nam: shop'])(
    'is not guessed: %j',
    async (head) => {
      broken(head);
      const { code, stderr } = await cli.paas(['ps']);
      expect({ code, asked: cli.asked() }).toEqual({ code: 3, asked: [] });
      expect(stderr).toContain('paas.yml:');
    },
  );
});

describe('logs', () => {
  const line = (seq: number, more = {}) => ({
    ts: '2026-11-21T10:00:00.123Z',
    app: 'shop',
    process: 'web',
    instance: 'web.1',
    release: 1,
    source: 'app',
    stream: 'stdout',
    seq,
    line: `line ${seq}`,
    ...more,
  });
  const gap = { gap: { instance: 'web.1', from: 'a', to: 'b', count: 7 } };
  const ndjson = (...values: unknown[]) =>
    new Raw('application/x-ndjson', values.map((value) => JSON.stringify(value) + '\n').join(''));

  it('are lines for people, with what is missing said loudly', async () => {
    cli.api({ [`GET ${shop}/logs`]: ndjson(line(1), gap, line(2, { source: 'platform', line: 'v1 is live' })) });
    expect((await cli.paas(['logs', '-a', 'shop'])).stdout).toBe(
      '2026-11-21T10:00:00.123Z web.1 | line 1\n' +
        '!!! at least 7 lines of web.1 are missing between a and b\n' +
        '2026-11-21T10:00:00.123Z platform | v1 is live\n',
    );
  });
  it('pass through unchanged with --json, but for cursors', async () => {
    cli.api({ [`GET ${shop}/logs`]: ndjson(line(1), { cursor: 'c1' }, gap) });
    const { stdout } = await cli.paas(['logs', '-a', 'shop', '--json']);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((text) => JSON.parse(text) as unknown),
    ).toEqual([line(1), gap]);
  });
  it('are asked for as the flags say', async () => {
    cli.api({ [`GET ${shop}/logs`]: ndjson() });
    await cli.paas(['logs', '-a', 'shop']);
    await cli.paas([
      'logs',
      '-a',
      'shop',
      '-n',
      'all',
      '--process',
      'web',
      '--release',
      'v3',
      '--grep',
      'a|b',
      '--since',
      '2026-11-21T10:00:00Z',
    ]);
    const [first = '', second = ''] = cli.platform.seen.map(({ url }) => url);
    expect(Object.fromEntries(new URL(first, 'http://x').searchParams)).toEqual({ n: '100' });
    expect(Object.fromEntries(new URL(second, 'http://x').searchParams)).toEqual({
      process: 'web',
      release: '3',
      grep: 'a|b',
      since: '2026-11-21T10:00:00.000Z',
    });
  });
  it.each(['logs', 'events'])('of %s -t that nobody reads any more end well', async (command) => {
    const { streams } = fakeStreams();
    const closed = Object.assign(
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })) }),
      { isTTY: false },
    );
    const event = { ts: 't', id: 'evt_1', actor: 'x', kind: 'app.push', app: 'shop', message: 'pushed' };
    cli.platform.handle((_seen, response) => {
      response
        .writeHead(200)
        .write(
          command === 'logs' ? `${JSON.stringify(line(1))}\n` : `event: event\ndata: ${JSON.stringify(event)}\n\n`,
        );
    });
    expect(await run([command, '-t', '-a', 'shop'], cli.env(), { ...streams, stdout: closed as never })).toBe(0);
  });
  it.each([['logs'], ['logs', '-t'], ['events'], ['events', '-t'], ['run', '--', 'x'], ['exec', 'web.1', '--', 'x']])(
    'are one object a line, errors too: %j %j',
    async (...argv) => {
      cli.api({});
      const { code, stdout } = await cli.paas([argv[0], '--json', '-a', 'shop', ...argv.slice(1)]);
      expect(code).toBe(5);
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map((text) => JSON.parse(text) as unknown);
      expect(lines).toMatchObject([{ error: { code: 'not_found' } }]);
    },
  );
  it('that break off say so instead of looking complete', async () => {
    cli.api({ [`GET ${shop}/logs`]: ndjson(line(1), { error: new PaasError('corrupt', 'A segment is damaged.') }) });
    expect(await cli.paas(['logs', '-a', 'shop'])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('line 1') as string,
    });
  });
});

describe('config', () => {
  const values = { LOG_LEVEL: 'info', API_TOKEN: 'tok-123456', HOOK: 'https://user:pw-123456@example.com/x' };
  it('masks what looks secret, unless asked', async () => {
    cli.api({ [`GET ${shop}/config`]: { version: 1, values } });
    expect((await cli.paas(['config', '-a', 'shop'])).stdout).toBe(
      'LOG_LEVEL=info\nAPI_TOKEN=********\nHOOK=https://********@example.com/x\n',
    );
    expect((await cli.paas(['config', '-a', 'shop', '--json'])).stdout).not.toContain('123456');
    expect((await cli.paas(['config', '-a', 'shop', '--json', '--reveal'])).json()).toEqual(values);
  });
  it('gives one value in clear, alone on its line', async () => {
    cli.api({ [`GET ${shop}/config`]: { version: 1, values } });
    expect((await cli.paas(['config', 'get', 'API_TOKEN', '-a', 'shop'])).stdout).toBe('tok-123456\n');
    expect((await cli.paas(['config', 'get', 'toString', '-a', 'shop'])).code).toBe(5);
  });
});
