import { describe, expect, it } from 'vitest';
import { json, planOf, runs, tools, webOf } from './support.ts';

const lock = { 'package-lock.json': '{}' };
const withDeps = { dependencies: { express: '^4' } };
const keyOf = async (manifest: object, files: Record<string, string> = lock, options = {}) => {
  const plan = await planOf({ 'package.json': json(manifest), ...files }, options);
  return plan.commands.find(({ cache }) => cache)?.cache?.key;
};

describe('node', () => {
  it('builds nothing when there is nothing to install', async () => {
    const plan = await planOf({ 'package.json': json({ scripts: { start: 'node server.js' } }) });
    expect(plan).toMatchObject({ commands: [], files: {}, profile: '', env: { NODE_ENV: 'production' } });
    expect(plan.needs.map(({ tool }) => tool)).toEqual(['node']);
  });

  it('does not install development dependencies for an app that builds nothing', async () => {
    const plan = await planOf({ 'package.json': json({ devDependencies: { jest: '29' } }), ...lock });
    expect(plan.commands).toEqual([]);
  });

  it.each([
    [{ 'package-lock.json': '{}' }, 'npm ci --omit=dev', 'npm'],
    [{ 'npm-shrinkwrap.json': '{}' }, 'npm ci --omit=dev', 'npm'],
    [{}, 'npm install --no-package-lock --omit=dev', 'npm'],
    [{ 'pnpm-lock.yaml': '', 'package-lock.json': '{}' }, 'pnpm install --frozen-lockfile', 'pnpm'],
    [{ 'yarn.lock': '# yarn lockfile v1' }, 'yarn install --frozen-lockfile', 'yarn'],
    [{ 'yarn.lock': '__metadata:\n  version: 8' }, 'yarn workspaces focus --production --all', 'yarn'],
  ])('installs by lock file: %o', async (files, run, tool) => {
    const plan = await planOf({ 'package.json': json(withDeps), ...(files as Record<string, string>) });
    expect(runs(plan)).toEqual([expect.stringContaining(run)]);
    expect(plan.needs.map((need) => need.tool)).toContain(tool);
    expect(plan.commands[0]?.cache?.paths).toEqual(['node_modules']);
    expect(plan.profile).toContain('node_modules/.bin');
    expect(Object.keys(plan.sharedCaches)).toEqual([tool]);
  });

  it('builds with development dependencies and removes them afterwards', async () => {
    const manifest = { ...withDeps, devDependencies: { typescript: '5' }, scripts: { build: 'tsc' } };
    const plan = await planOf({ 'package.json': json(manifest), ...lock });
    expect(runs(plan)).toEqual(['npm ci --include=dev', 'npm run build', 'npm prune --omit=dev']);
    expect(plan.commands.every(({ env }) => env['NODE_ENV'] === 'production')).toBe(true);
  });

  it('runs the scripts of Heroku in their order', async () => {
    const scripts = { 'heroku-prebuild': 'a', 'heroku-postbuild': 'b', build: 'c', 'heroku-cleanup': 'd' };
    const plan = await planOf({ 'package.json': json({ ...withDeps, scripts }), ...lock });
    expect(runs(plan)).toEqual([
      'npm run heroku-prebuild',
      'npm ci --omit=dev',
      'npm run heroku-postbuild',
      'npm run heroku-cleanup',
    ]);
  });

  it('lets `build:` of the manifest replace the build script', async () => {
    const manifest = { ...withDeps, scripts: { build: 'tsc' } };
    const plan = await planOf({ 'package.json': json(manifest), ...lock }, { build: 'make site' });
    expect(plan.commands.map(({ name }) => name)).toEqual(['npm ci --omit=dev', 'make site']);
    expect(runs(plan)[1]).toContain('node_modules/.bin');
  });

  it('rebuilds node_modules that came with the source', async () => {
    const files = { 'package.json': json(withDeps), 'node_modules/express/index.js': '' };
    expect(runs(await planOf(files))).toEqual(['npm rebuild']);
    expect(runs(await planOf({ ...files, ...lock }))).toEqual(['npm ci --omit=dev']);
  });
});

describe('the key of node_modules', () => {
  it('stays the same when only version and scripts change', async () => {
    const key = await keyOf({ ...withDeps, version: '1.0.0' });
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(await keyOf({ ...withDeps, version: '1.0.1', scripts: { start: 'node x' } })).toBe(key);
  });

  it.each([
    ['lock file', { 'package-lock.json': '{"x":1}' }, {}],
    ['.npmrc', { ...lock, '.npmrc': 'omit=optional' }, {}],
    ['Node', lock, { tools: { ...tools, node: '22.0.0' } }],
    ['base', lock, { base: 'c'.repeat(64) }],
    ['architecture', lock, { arch: 'arm64' }],
    ['project', lock, { project: 'other' }],
  ])('changes with the %s', async (_what, files, options) => {
    expect(await keyOf(withDeps, files, options)).not.toBe(await keyOf(withDeps));
  });

  it.each([
    ['scripts of its own', { ...withDeps, scripts: { postinstall: 'node gen.js' } }],
    ['workspaces', { ...withDeps, workspaces: ['packages/*'] }],
    ['linked directories', { dependencies: { a: 'file:./a' } }],
  ])('does not exist for an app with %s', async (_what, manifest) => {
    expect(await keyOf(manifest)).toBeUndefined();
  });

  it('exists in spite of git hooks, which need development dependencies all the same', async () => {
    const manifest = { ...withDeps, devDependencies: { husky: '9' }, scripts: { prepare: 'husky' } };
    expect(await keyOf(manifest)).toBeDefined();
    expect(runs(await planOf({ 'package.json': json(manifest), ...lock }))[0]).toBe('npm ci --include=dev');
  });

  it('goes by the content of archives in the source', async () => {
    const manifest = { dependencies: { a: 'file:./vendor/a.tgz' } };
    const before = await keyOf(manifest, { ...lock, 'vendor/a.tgz': 'one' });
    expect(before).toBeDefined();
    expect(await keyOf(manifest, { ...lock, 'vendor/a.tgz': 'two' })).not.toBe(before);
  });
});

describe('how a node app starts', () => {
  it.each([
    [{ start: 'node server.js' }, 'node server.js'],
    [{ start: 'node --enable-source-maps dist/main.js' }, 'node --enable-source-maps dist/main.js'],
    [{ start: 'NODE_ENV=production node server.js' }, 'npm start'],
    [{ start: 'node migrate.js && node server.js' }, 'npm start'],
    [{ start: 'next start' }, 'npm start'],
    [{ start: 'node server.js', prestart: 'node migrate.js' }, 'npm start'],
  ])('is %o -> %s', async (scripts, command) => {
    const plan = await planOf({ 'package.json': json({ scripts }) });
    expect(webOf(plan)).toBe(command);
    expect(plan.needs.some(({ tool }) => tool === 'npm')).toBe(command === 'npm start');
  });

  it.each([
    [{ main: 'lib/www.js' }, { 'server.js': '', 'lib/www.js': '' }, 'node server.js'],
    [{ main: 'lib/www.js' }, { 'lib/www.js': '', 'index.js': '' }, 'node lib/www.js'],
    [{ main: 'missing.js' }, { 'index.js': '' }, 'node index.js'],
    [{ main: '$(reboot)' }, { '$(reboot)': '' }, undefined],
    [{}, { 'notes.md': '' }, undefined],
  ])('without a start script, %o with %o -> %s', async (manifest, files, command) => {
    const plan = await planOf({ 'package.json': json(manifest), ...(files as Record<string, string>) });
    expect(webOf(plan)).toBe(command);
    expect(plan.noCommand).toContain('scripts.start');
  });
});

describe('what node warns of and refuses', () => {
  it('a Node that is not what the app asks for', async () => {
    const ask = async (range: string) =>
      (await planOf({ 'package.json': json({ engines: { node: range } }) })).warnings;
    expect(await ask('>=18')).toEqual([]);
    expect(await ask('20.x || 22.x')).toEqual([]);
    expect(await ask('^18')).toEqual(['package.json asks for Node ^18; the hosts have 20.20.2.']);
  });

  it('a missing lock file', async () => {
    expect((await planOf({ 'package.json': json(withDeps) })).warnings[0]).toContain('No lock file');
  });

  it.each([
    ['{ "name": ', /package\.json is not valid JSON/],
    ['[]', /must hold a JSON object/],
    ['{"scripts":{"start":3}}', /'scripts\.start'/],
    ['{"dependencies":[]}', /'dependencies'/],
  ])('a broken package.json: %s', async (text, message) => {
    const wanted = { code: 'source_invalid', message: expect.stringMatching(message) as string };
    await expect(planOf({ 'package.json': text })).rejects.toMatchObject(wanted);
  });
});
