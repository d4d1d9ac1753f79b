import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configFor, type UpWish } from '../../../../src/cli/platform/config.ts';
import { hostRoot, makeDirectories, platformFiles } from '../../../../src/cli/platform/files.ts';
import { programEnvironment } from '../../../../src/cli/platform/spawn.ts';
import { run } from '../../../../src/cli/run.ts';
import { credentials } from '../client/platform.ts';
import { fakeStreams, harness } from './support.ts';

const cli = harness();
const nothing: UpWish = {
  port: undefined,
  routerPort: undefined,
  tlsPort: undefined,
  maxHosts: undefined,
  hostMemoryMb: undefined,
  hostCpu: undefined,
};
const anyPorts = { ...nothing, port: 0, routerPort: 0 };

describe('the configuration that `paas up` makes', () => {
  it('has ports of its own, below those that the kernel gives out, and a long key', async () => {
    const config = await configFor(undefined, platformFiles(cli.home), anyPorts);
    expect(config.listen.host).toBe('127.0.0.1');
    const ports = [config.listen.port, config.router.port, config.router.tlsPort!];
    expect(new Set(ports).size).toBe(3);
    expect(Math.max(...ports)).toBeLessThan(32_768);
    expect(config.adminKey.secret.length).toBeGreaterThanOrEqual(32);
  });
  it('stays as it is, but for sizes', async () => {
    const files = platformFiles(cli.home);
    const first = await configFor(undefined, files, anyPorts);
    expect(await configFor(first, files, { ...anyPorts, maxHosts: 9 })).toEqual({ ...first, cluster: { maxHosts: 9 } });
    await expect(configFor(first, files, { ...nothing, port: 1234 })).rejects.toMatchObject({
      code: 'conflict',
      exit: 6,
    });
  });
  it('names a port that is taken, and the flag', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const taken = configFor(undefined, platformFiles(cli.home), { ...nothing, port: 0, routerPort: port });
    await expect(taken).rejects.toMatchObject({
      code: 'conflict',
      message: `Port ${port} for the router is taken by another program.`,
      hint: expect.stringContaining('--router-port') as string,
    });
    server.close();
  });
});

describe('where the platform keeps its data', () => {
  it('is closed to others; what apps must reach is chosen once', () => {
    const files = platformFiles(cli.home);
    makeDirectories(files);
    for (const path of [files.root, files.server, files.cloud]) expect(statSync(path).mode & 0o777).toBe(0o700);
    writeFileSync(files.local, JSON.stringify({ hostRoot: '/chosen/before' }));
    expect(hostRoot(files)).toBe('/chosen/before');
  });
  it('is refused by name when it is damaged', async () => {
    mkdirSync(join(cli.home, 'platform'), { recursive: true });
    writeFileSync(join(cli.home, 'platform/config.json'), '{"dataDir": "/x", "li');
    const { code, stderr } = await cli.paas(['up']);
    expect(code).toBe(1);
    expect(stderr).toContain(join(cli.home, 'platform/config.json'));
    expect(readFileSync(join(cli.home, 'platform/config.json'), 'utf8')).toBe('{"dataDir": "/x", "li');
  });
});

it('programs of the platform get none of the CLI’s own variables', () => {
  const env = { PATH: '/bin', PAAS_KEY_SECRET: 's', PAAS_URL: 'u', NODE_EXTRA_CA_CERTS: '/ca.pem' };
  expect(programEnvironment(env)).toEqual({ PATH: '/bin', PAAS_HOST_EXTRA_CA_CERTS: '/ca.pem' });
});

it('down and status without a platform say so', async () => {
  expect(await cli.paas(['down'])).toMatchObject({ code: 0, stdout: 'The platform does not run.\n' });
  await cli.platform.stop();
  expect((await cli.paas(['status'])).code).toBe(10);
});

describe('login, target, logout', () => {
  const nowhere = { PAAS_URL: '', PAAS_KEY_ID: '', PAAS_KEY_SECRET: '' };
  it('keeps a key that works, for its owner alone', async () => {
    cli.api({ 'GET /v1/whoami': { principal: 'key:x', keyId: credentials.keyId, role: 'owner' } });
    const login = ['login', cli.platform.url, '--key-id', credentials.keyId, '--key-secret-stdin'];
    const { code, stdout } = await cli.paas(login, { env: nowhere, input: `${credentials.keySecret}\n` });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Logged in to ${cli.platform.url} as key:x (owner).\n` });
    const file = join(cli.home, 'target.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await cli.paas(['target', '-p', 'store', '-e', 'prod', '--json'], { env: nowhere })).json()).toMatchObject({
      project: 'store',
      environment: 'prod',
    });
    expect((await cli.paas(['logout'], { env: nowhere })).code).toBe(0);
    expect(readFileSync(file, 'utf8')).not.toContain(credentials.keySecret);
    expect((await cli.paas(['whoami'], { env: nowhere })).code).toBe(4);
  });
  it('keeps no key that does not work', async () => {
    const { code } = await cli.paas(['login', cli.platform.url, '--key-id', 'other', '--key-secret-stdin'], {
      env: nowhere,
      input: 'wrong',
    });
    expect(code).toBe(4);
    expect((await cli.paas(['whoami'], { env: nowhere })).code).toBe(4);
  });
  it('asks nobody where nobody sits, and sends no key in clear to another machine', async () => {
    const { streams, stderr } = fakeStreams();
    expect(await run(['login', cli.platform.url], { PAAS_HOME: cli.home }, streams)).toBe(2);
    expect(stderr()).toContain('--key-id');
    expect((await cli.paas(['login', 'http://paas.example.com'], { env: nowhere })).code).toBe(4);
  });
});

describe('clouds add', () => {
  it('takes secrets from files only', async () => {
    const file = join(cli.home, 'key');
    writeFileSync(file, 'k-123456\n');
    cli.api({ 'POST /v1/clouds': {} });
    const add = ['clouds', 'add', 'prod', '--driver', 'speedycloud', '--set', 'zone=A', '--set', 'diskGb=40'];
    expect((await cli.paas([...add, '--set', 'apiKey=k-123456'])).code).toBe(2);
    expect(cli.asked()).toEqual([]);
    expect((await cli.paas([...add, '--set', `apiKey=@${file}`])).code).toBe(0);
    expect(cli.body('POST')).toEqual({
      name: 'prod',
      driver: 'speedycloud',
      config: { zone: 'A', diskGb: 40, apiKey: 'k-123456' },
    });
  });
});

it('bases add sends the tar as one object and names it', async () => {
  const file = join(cli.home, 'rootfs.tar');
  writeFileSync(file, Buffer.alloc(20_000, 'x'));
  let bytes = 0;
  cli.api({
    'POST /v1/missing': (seen) => ({ missing: (JSON.parse(seen.body) as { digests: string[] }).digests }),
    'POST /v1/uploads': { id: 'u', offset: 0 },
    'PUT /v1/uploads/u': (seen) => ({ offset: (bytes += Number(seen.headers['content-length'])) }),
    'POST /v1/uploads/u/finish': { id: 'u', offset: 0 },
    'PUT /v1/bases/debian': {},
  });
  expect(await cli.paas(['bases', 'add', 'debian', file])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Added the base debian (20.0 KB') as string,
  });
  expect(bytes).toBeGreaterThan(20_000);
  expect(JSON.parse(cli.platform.seen.at(-1)!.body)).toMatchObject({ bytes: 20_000 });
  expect((await cli.paas(['bases', 'add', 'debian', '/nowhere.tar'])).code).toBe(5);
});
