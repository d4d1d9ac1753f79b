/** run, exec, routes, services, cron, tasks, events, destroy, environments. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppDetail, EventRow } from '../../src/shared/contracts/api.ts';
import { running, startPlatform, type Platform } from '../support/platform.ts';

const clockwork = `name: clockwork
processes:
  web: { command: node server.js }
  tick: { type: cron, schedule: "* * * * *", command: "echo ticked $PAAS_INSTANCE" }
`;
let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
  await paas.ok(['push', 'base', '--config', 'COLOUR=red'], { cwd: paas.source('probe') });
  // Pushed first and looked at last, since its time comes once a minute.
  await paas.ok(['push'], { cwd: paas.source('probe', { 'paas.yml': clockwork }) });
});
afterAll(() => paas.remove());

describe('paas run', () => {
  it('passes output, standard input and the exit code through', async () => {
    const ran = await paas.cli([
      'run',
      '-a',
      'base',
      '--',
      'sh',
      '-c',
      'echo "$COLOUR $PAAS_RELEASE"; echo bad >&2; exit 42',
    ]);
    expect(ran).toMatchObject({ code: 42, stdout: 'red v1\n' });
    expect(ran.stderr).toContain('bad');
    const piped = await paas.ok(['run', '-a', 'base', '--', 'sh', '-c', 'cat; pwd; cat VERSION'], {
      input: 'in\nput\n',
    });
    expect(piped.stdout).toMatch(/^in\nput\n\/.*\n1\n$/);
    // Words stay words.
    expect((await paas.ok(['run', '-a', 'base', '--', 'printf', '%s|', 'a b', '$HOME', "it's"])).stdout).toBe(
      "a b|$HOME|it's|",
    );
    expect((await paas.cli(['run', '-a', 'base', '--', 'no-such-program'])).code).toBe(127);
    expect((await paas.cli(['run', '-a', 'base'])).code).toBe(2);
  });

  it('carries much data unharmed', async () => {
    const { stdout } = await paas.ok([
      'run',
      '-a',
      'base',
      '--',
      'node',
      '-e',
      'process.stdout.write("0123456789".repeat(300000))',
    ]);
    expect(stdout).toBe('0123456789'.repeat(300_000));
  });

  it('runs detached, with its output in the logs', async () => {
    const { instance } = await paas.json<{ instance: string }>([
      'run',
      '--detach',
      '-a',
      'base',
      '--',
      'sh',
      '-c',
      'echo detached; exit 3',
    ]);
    await paas.waitFor('its output', async () =>
      (await paas.logs('base', '--instance', instance)).some(({ line }) => line === 'detached'),
    );
    const ended = await paas.waitFor('its end', async () =>
      (await paas.ps('base', '--all')).find(({ name, exit }) => name === instance && exit !== null),
    );
    expect(ended.exit).toMatchObject({ code: 3 });
  });

  it('ends with Ctrl-C, and leaves nothing running', async () => {
    const begun = paas.start(['run', '-a', 'base', '--', 'sh', '-c', 'echo begun; exec sleep 60061']);
    await paas.waitFor('the command to begin', () => begun.stdout.includes('begun'));
    const { code } = await begun.interrupt();
    expect(code).toBe(130);
    await paas.waitFor('its end', () => running(/^sleep 60061/).length === 0);
  });
});

describe('paas exec', () => {
  it('runs inside an instance, with its environment and files', async () => {
    const inside = await paas.cli([
      'exec',
      'web.1',
      '-a',
      'base',
      '--',
      'sh',
      '-c',
      'echo "$COLOUR $PAAS_INSTANCE $PORT"; cat VERSION; exit 9',
    ]);
    expect(inside.code).toBe(9);
    expect(inside.stdout).toMatch(/^red web\.1 \d+\n1\n$/);
    await paas.ok(['exec', 'web.1', '-a', 'base', '--', 'sh', '-c', 'cat > written'], { input: 'by exec' });
    expect((await paas.get('base', '/look?path=written')).text).toBe('by exec');
    expect((await paas.cli(['exec', 'web.7', '-a', 'base', '--', 'true'])).code).toBe(5);
  });
});

describe('paas routes', () => {
  it('leads hosts and paths to apps, the longest path first', async () => {
    await paas.ok(['push', 'api', '--config', 'COLOUR=blue'], { cwd: paas.source('probe', { VERSION: 'api\n' }) });
    await paas.ok(['routes', 'add', 'www.example.com', '-a', 'base']);
    await paas.ok(['routes', 'add', 'www.example.com/api', '-a', 'api']);
    await paas.ok(['routes', 'add', '*.wild.example.com', '-a', 'api']);
    // Whoever is told that a route is there, or is gone, is answered so at once.
    const version = async (host: string, path: string): Promise<unknown> =>
      (await paas.get(host, path)).headers['x-version'];
    expect(await version('a.b.wild.example.com', '/')).toBe('api');
    expect(await version('www.example.com', '/')).toBe('1');
    expect(await version('www.example.com', '/apiary')).toBe('1');
    expect(await version('www.example.com', '/api/deep?x=1')).toBe('api');
    expect((await paas.json<{ route: string }[]>(['routes', '-a', 'api'])).map(({ route }) => route).sort()).toEqual([
      '*.wild.example.com',
      'api.localhost',
      'www.example.com/api',
    ]);
    const taken = await paas.cli(['routes', 'add', 'www.example.com', '-a', 'api', '--json']);
    expect([taken.code, taken.error.code]).toEqual([6, 'conflict']);
    await paas.ok(['routes', 'remove', 'www.example.com/api', '-a', 'api']);
    expect(await version('www.example.com', '/api')).toBe('1');
    const unknown = await paas.get('nobody.example.com', '/', { headers: { accept: 'application/json' } });
    expect(unknown.status).toBe(404);
    expect(JSON.parse(unknown.text)).toHaveProperty('error');
    expect((await paas.cli(['routes', 'remove', 'nobody.example.com', '-a', 'api'])).code).toBe(5);
    expect((await paas.cli(['routes', 'add', 'no such host', '-a', 'api'])).code).toBe(2);
  });

  it('tells apps who asked', async () => {
    const code = 'require("http").createServer((q,r)=>r.end(JSON.stringify(q.headers))).listen(process.env.PORT)';
    await paas.ok(['push', 'mirror'], { cwd: paas.directory({ Procfile: 'web: node s.js\n', 's.js': code }) });
    const headers = JSON.parse((await paas.get('mirror', '/', { headers: { 'x-request-id': 'abc-1' } })).text);
    expect(headers).toMatchObject({
      ...{ host: `mirror.localhost:${paas.routerPort}`, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' },
      'x-request-id': 'abc-1',
    });
  });

  it('gives no address with --no-route', async () => {
    expect(await paas.json(['push', 'hidden', '--no-route'], { cwd: paas.source('probe') })).toMatchObject({
      url: null,
    });
    expect((await paas.get('hidden')).status).toBe(404);
  });
});

describe('process types', () => {
  it('a service gets a TCP port of the router', async () => {
    const code = 'require("net").createServer((s)=>s.on("data",(d)=>s.write("echo "+d))).listen(process.env.PORT)';
    const yaml = 'name: wire\nprocesses: { tcp: { type: service, command: node s.js } }\n';
    await paas.ok(['push'], { cwd: paas.directory({ 'paas.yml': yaml, 's.js': code }) });
    const { ports } = await paas.json<AppDetail>(['app', 'wire']);
    const said = await paas.waitFor('the echo', () => talk(ports['tcp'] ?? 0, 'hi'));
    expect(said).toBe('echo hi');
  });
});

describe('environments and projects', () => {
  it('keep apps of the same name apart', async () => {
    const yaml =
      'name: twin\nprocesses: { web: { command: node server.js } }\nconfig: { WHERE: here }\nenvironments: { prod: { config: { WHERE: there } } }\n';
    const cwd = paas.source('probe', { 'paas.yml': yaml });
    await paas.ok(['push'], { cwd });
    const prod = await paas.json<{ url: string }>(['push', '-e', 'prod', '-p', 'store'], { cwd });
    expect(prod.url).toBe(`http://twin-prod-store.localhost:${paas.routerPort}`);
    expect((await paas.get('twin', '/env?name=WHERE')).text).toBe('here');
    expect((await paas.get('twin-prod-store', '/env?name=WHERE')).text).toBe('there');
    const apps = await paas.json<{ name: string; environment: string }[]>(['apps', '-p', 'store']);
    expect(apps.map(({ name, environment }) => [name, environment])).toEqual([['twin', 'prod']]);
    await paas.ok(['destroy', 'twin', '-e', 'prod', '-p', 'store', '--yes']);
    expect((await paas.get('twin')).status).toBe(200);
  });
});

describe('events and destroy', () => {
  it('records who did what', async () => {
    await paas.ok(['push', 'watched'], { cwd: paas.source('probe') });
    await paas.ok(['scale', 'web=2', '-a', 'watched']);
    await paas.ok(['config', 'set', 'A=1', '-a', 'watched']);
    const events = (await paas.ok(['events', '-a', 'watched', '--json'])).jsonLines<EventRow>();
    const asked = events.filter(({ actor }) => actor === 'key:local-admin').map(({ kind }) => kind);
    expect(asked).toEqual(['app.push', 'app.scale', 'config.change']);
    expect(events.some(({ actor, kind }) => actor === 'platform' && kind === 'instance.healthy')).toBe(true);
    for (const event of events)
      expect(Object.keys(event).sort()).toEqual(['actor', 'app', 'details', 'id', 'kind', 'message', 'target', 'ts']);
    expect(events.map(({ ts }) => ts)).toEqual(events.map(({ ts }) => ts).sort());
  });

  it('removes an app with all that belongs to it, and only when confirmed', async () => {
    await paas.ok(['push', 'doomed'], { cwd: paas.source('probe') });
    const asked = await paas.cli(['destroy', 'doomed']);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('--yes');
    const [row] = await paas.ps('doomed');
    await paas.ok(['destroy', 'doomed', '--yes']);
    expect(await paas.app('doomed')).toBeUndefined();
    expect((await paas.get('doomed')).status).toBe(404);
    expect((await paas.cli(['logs', '-a', 'doomed'])).code).toBe(5);
    await paas.waitFor('its processes to be gone', () => running(new RegExp(row?.id ?? '')).length === 0);
    // The name is free again, and its past is not the new one's.
    await paas.ok(['push', 'doomed'], { cwd: paas.source('probe') });
    expect(await paas.json(['releases', '-a', 'doomed'])).toHaveLength(1);
  });
});

describe('a cron process', () => {
  it('runs when its time comes', { timeout: 300_000 }, async () => {
    expect(await paas.json(['scale', '-a', 'clockwork'])).toMatchObject({
      tick: { kind: 'cron', schedule: '* * * * *' },
    });
    const ticked = async (): Promise<boolean> => (await paas.logs('clockwork', '--grep', '^ticked tick')).length > 0;
    await paas.waitFor('the minute to end and the run to be logged', ticked, 200_000);
    expect((await paas.ps('clockwork')).filter(({ type }) => type === 'web')).toHaveLength(1);
    const ended = (await paas.ps('clockwork', '--all')).find(({ type }) => type === 'tick');
    expect(ended?.name).toMatch(/^tick\.\d+$/);
    expect((await paas.cli(['scale', 'tick=2', '-a', 'clockwork'])).code).toBe(2);
  });
});

function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.once('data', (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
  });
}
