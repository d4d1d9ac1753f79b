import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { appDirectory, deployment, ended, events, harness, shop, type Api } from './support.ts';

const cli = harness();
const made: string[] = [];
afterEach(() => made.splice(0).forEach((path) => rmSync(path, { recursive: true })));
const app = (files: Record<string, string>): string => {
  const directory = appDirectory(files);
  made.push(directory);
  return directory;
};

const manifest = 'name: shop\nprocesses: { web: { command: node server.js } }\n';
const source = { 'paas.yml': manifest, 'server.js': 'console.log(1);\n' };

/** A platform that lacks everything, and remembers what was sent. */
function platform(more: Api = {}): { sent: () => number } {
  let bytes = 0;
  const upload = { id: 'upl_1', offset: 0 };
  cli.api({
    'POST /v1/missing': (seen) => ({ missing: (JSON.parse(seen.body) as { digests: string[] }).digests }),
    'POST /v1/uploads': upload,
    'PUT /v1/uploads/upl_1': (seen) => ({ offset: (bytes += Number(seen.headers['content-length'])) }),
    'POST /v1/uploads/upl_1/finish': upload,
    [`POST ${shop}/pushes`]: deployment(),
    [`GET ${shop}/deployments/dep_1/stream`]: events(
      ['progress', { ts: '', kind: 'output', message: '-----> npm ci', details: {} }],
      [
        'end',
        ended({
          build: { stack: 'node', cached: false, durationMs: 1200 },
          rollout: { id: 'rol_1', state: 'succeeded' },
        }),
      ],
    ),
    ...more,
  });
  return { sent: () => bytes };
}

const pushed = () =>
  cli.body('POST') as {
    spec: { name: string };
    overrides: unknown;
    config: unknown;
    source: { tree: string; provenance: unknown };
    message: string;
  };

describe('paas push', () => {
  it('sends what is missing, shows the build, and ends with the address', async () => {
    const { sent } = platform();
    const { code, stdout, stderr } = await cli.paas(['push', '--path', app(source)]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Live: shop v2 in .* s \(1 file, \d+ B sent, node build in 1\.2 s\)\n {2}http:\/\/shop\.localhost:8080\n$/,
    );
    expect(stderr).toContain('  | -----> npm ci\n');
    expect(sent()).toBeGreaterThan(0);
    expect(pushed()).toMatchObject({ spec: { name: 'shop' }, source: { provenance: { kind: 'directory' } } });
  });
  it('has the JSON that scripts read', async () => {
    const { sent } = platform();
    const { json } = await cli.paas(['push', '--path', app(source), '--json']);
    expect(json()).toEqual({
      ...{
        app: 'shop',
        project: 'default',
        environment: 'dev',
        release: 2,
        changed: true,
        url: 'http://shop.localhost:8080',
      },
      ...{ upload: { files: 1, bytes: sent() }, build: { stack: 'node', cached: false, durationMs: 1200 } },
      ...{
        rollout: { id: 'rol_1', state: 'succeeded' },
        durationMs: expect.any(Number) as number,
        deployment: 'dep_1',
        state: 'succeeded',
      },
    });
  });
  it('uploads nothing and says so when nothing changed', async () => {
    const { sent } = platform({
      'POST /v1/missing': { missing: [] },
      [`POST ${shop}/pushes`]: ended({ id: '', changed: false }),
    });
    const { code, stdout } = await cli.paas(['push', '--path', app(source)]);
    expect({ code, sent: sent() }).toEqual({ code: 0, sent: 0 });
    expect(stdout).toContain('Nothing changed: shop v2 runs on');
  });
  it('keeps flags apart from what the manifest says', async () => {
    platform();
    await cli.paas([
      'push',
      '--path',
      app(source),
      '-i',
      '3',
      '-m',
      '1G',
      '--config',
      'A=1',
      '--message',
      'first',
      '--strategy',
      'recreate',
      '--no-wait',
    ]);
    expect(pushed()).toMatchObject({
      overrides: { web: { instances: 3, memoryMb: 1024 } },
      config: { A: '1' },
      message: 'first',
      strategy: 'recreate',
    });
    expect(pushed().spec).toEqual({ name: 'shop', processes: { web: { kind: 'web', command: 'node server.js' } } });
  });
  it('asks which process -i is about when it is not clear', async () => {
    platform();
    const many = { ...source, 'paas.yml': 'name: shop\nprocesses: { a: { command: x }, b: { command: y } }\n' };
    expect(await cli.paas(['push', '--path', app(many), '-i', '3'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('which of the process types a, b?') as string,
    });
  });
  it('takes the name from argument, flag or PAAS_APP, else the manifest, else the directory', async () => {
    const names = async (argv: string[], env = {}): Promise<string> => {
      platform({ [`POST ${shop.replace('shop', 'other')}/pushes`]: deployment({ app: 'other' }) });
      await cli.paas(['push', ...argv, '--path', app(source), '--no-wait'], { env });
      return pushed().spec.name;
    };
    expect(await names(['other'])).toBe('other');
    expect(await names(['-a', 'other'])).toBe('other');
    expect(await names([], { PAAS_APP: 'other' })).toBe('other');
    expect(await names([])).toBe('shop');
  });
  it('says where a manifest is wrong, with exit 3, and shows its warnings', async () => {
    platform();
    const wrong = await cli.paas([
      'push',
      '--path',
      app({ ...source, 'paas.yml': 'name: shop\nprocesses: { web: { comand: x } }\n' }),
    ]);
    expect(wrong.code).toBe(3);
    expect(wrong.stderr).toContain('paas.yml:2:');
    expect(cli.asked()).toEqual([]);
    const warned = await cli.paas([
      'push',
      '--path',
      app({ 'manifest.yml': 'applications: [{ name: shop, command: x, services: [db] }]\n', 'a.js': '' }),
      '--json',
    ]);
    expect(warned.stderr).toContain('Warning:');
    expect(warned.code).toBe(0);
  });
  it('tells on Ctrl-C which deployment was begun, also when it comes while that is being asked for', async () => {
    platform({ [`POST ${shop}/pushes`]: () => (process.emit('SIGINT'), deployment()) });
    const { code, json } = await cli.paas(['push', '--path', app(source), '--json']);
    expect({ code, json: json() }).toMatchObject({
      code: 130,
      json: { error: { code: 'interrupted', details: { deployment: 'dep_1' } } },
    });
  });
  it('does not say that something goes on when Ctrl-C comes before anything was begun', async () => {
    platform({ 'POST /v1/uploads': () => (process.emit('SIGINT'), { id: 'upl_1', offset: 0 }) });
    const { code, json } = await cli.paas(['push', '--path', app(source), '--json']);
    expect({ code, json: json() }).toMatchObject({ code: 130, json: { error: { hint: '' } } });
    expect(cli.asked()).not.toContain(`POST ${shop}/pushes`);
  });
  it('refuses images clearly', async () => {
    expect(await cli.paas(['push', '--image', 'nginx:1', '--json'])).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('"unsupported"') as string,
    });
  });
  it('says nothing to push for an empty directory', async () => {
    platform();
    expect((await cli.paas(['push', '--path', app({ 'paas.yml': manifest })])).code).toBe(3);
  });
});

describe('paas push --dry-run', () => {
  it('asks the platform for the plan when it knows the source', async () => {
    const plan = [{ action: 'scale', target: 'web', from: '1', to: '3' }];
    const { sent } = platform({
      'POST /v1/missing': { missing: [] },
      [`POST ${shop}/plans`]: { app: 'shop', changed: true, plan },
    });
    const { json } = await cli.paas(['push', '--path', app(source), '--dry-run', '--json']);
    expect(json()).toEqual({ app: 'shop', changed: true, plan, upload: { files: 0, bytes: 0 } });
    expect(sent()).toBe(0);
  });
  it('changes nothing and says what is certain when it does not', async () => {
    const { sent } = platform({ [`GET ${shop}`]: { name: 'shop', release: 4, formation: { web: { instances: 1 } } } });
    const { json } = await cli.paas([
      'push',
      '--path',
      app(source),
      '--dry-run',
      '--json',
      '-i',
      '3',
      '--config',
      'TOKEN=secret-1',
    ]);
    expect(json()).toMatchObject({
      changed: true,
      upload: { files: 1 },
      plan: [
        { action: 'build and release', target: 'shop', from: 'v4', to: '1 file that the platform does not have' },
        { action: 'scale', target: 'web', from: '1', to: '3' },
        { action: 'set config', target: 'TOKEN' },
      ],
    });
    expect(JSON.stringify(json())).not.toContain('secret-1');
    expect(sent()).toBe(0);
    expect(cli.asked().filter((line) => !line.startsWith('GET') && !line.includes('/v1/missing'))).toEqual([]);
  });
});

describe('paas init', () => {
  it.each(['node', 'python', 'java', 'static'])('%s makes an app that can be pushed', async (template) => {
    const directory = join(app({}), 'My Shop');
    expect((await cli.paas(['init', directory, '--template', template])).code).toBe(0);
    expect(readFileSync(join(directory, 'paas.yml'), 'utf8')).toContain('name: my-shop');
    platform({ [`POST ${shop.replace('shop', 'my-shop')}/pushes`]: ended({ app: 'my-shop' }) });
    expect((await cli.paas(['push', '--path', directory])).code).toBe(0);
  });
  it('overwrites nothing', async () => {
    const directory = app({ 'server.js': 'mine' });
    const { code, stderr } = await cli.paas(['init', directory]);
    expect(code).toBe(6);
    expect(stderr).toContain('server.js');
    expect(existsSync(join(directory, 'paas.yml'))).toBe(false);
    writeFileSync(join(directory, 'server.js'), 'mine');
  });
});
