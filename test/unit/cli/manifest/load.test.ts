import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadManifest } from '../../../../src/cli/manifest/load.ts';
import { directoryWith, failure, load } from './support.ts';

const options = { environment: 'dev', flags: {} };

describe('which file is read', () => {
  test('the order is paas.yml, manifest.yml, Procfile and app.json', async () => {
    const files = {
      'paas.yml': 'name: one',
      'manifest.yml': 'applications: [{ name: two }]',
      Procfile: 'web: three',
      'app.json': '{"name": "four"}',
    };
    const names = Object.keys(files) as (keyof typeof files)[];
    for (const [index, name] of names.entries()) {
      const rest = Object.fromEntries(names.slice(index).map((left) => [left, files[left]]));
      expect((await load(rest)).source).toBe(name);
    }
  });

  test('an app without any has no processes and the name of its directory', async () => {
    const directory = await directoryWith({}, 'My_Äpp 2.0');
    expect(await loadManifest({ ...options, directory })).toEqual({
      specs: [{ name: 'my-app-2-0', processes: {} }],
      source: 'none',
      nameSource: 'directory',
      warnings: [],
      generated: [],
    });
  });

  test.each([
    ['deploy/anything.yml', 'name: one', 'paas.yml'],
    ['deploy/anything.yml', 'applications: [{ name: one }]', 'manifest.yml'],
    ['deploy/cf.json', '{"applications": [{"name": "one"}]}', 'manifest.yml'],
    ['deploy/one.json', '{"name": "one"}', 'app.json'],
    ['Procfile.dev', 'web: run', 'Procfile'],
    ['deploy/manifest.yaml', 'applications: [{ name: one }]', 'manifest.yml'],
  ])('--manifest %s with %j is a %s', async (name, text, source) => {
    const directory = await directoryWith({ [name]: text, 'paas.yml': 'name: not-read' });
    const loaded = await loadManifest({ ...options, directory, manifestPath: join(directory, name) });
    expect(loaded.source).toBe(source);
    expect(loaded.specs[0]?.name).not.toBe('not-read');
  });

  test('--manifest takes a directory too; its own Procfile counts, and paths are relative to it', async () => {
    const directory = await directoryWith({
      'deploy/manifest.yml': 'applications: [{ name: a, path: .. }]',
      Procfile: 'web: x',
    });
    const loaded = await loadManifest({ ...options, directory, manifestPath: join(directory, 'deploy') });
    expect(loaded.path).toBe(directory);
    expect(loaded.specs[0]?.processes['web']?.command).toBe('x');
  });

  test('--manifest of a file that is not there, or an empty directory', async () => {
    const directory = await directoryWith({ 'empty/x': '' });
    for (const manifestPath of [join(directory, 'no.yml'), join(directory, 'empty')]) {
      const error = await failure({}, { manifestPath });
      expect([error.code, error.exit]).toEqual(['not_found', 5]);
      expect(error.message).toContain(manifestPath);
    }
  });
});

describe('the name', () => {
  test('that is asked for comes first, then the manifest, then the directory', async () => {
    expect((await load({ 'paas.yml': 'name: one' }, { appName: 'two' })).spec.name).toBe('two');
    expect((await load({ 'paas.yml': 'name: one' })).spec.name).toBe('one');
    expect((await load({ 'paas.yml': 'stack: node' }, { defaultName: 'From_Git' })).spec.name).toBe('from-git');
  });

  test('must be a DNS label', async () => {
    const error = await failure({}, { appName: 'My App' });
    expect([error.code, error.hint]).toEqual(['usage', 'Write `my-app`, for instance.']);
    expect((await failure({}, { defaultName: '日本' })).code).toBe('usage');
  });
});

describe('flags', () => {
  const all = {
    instances: 3,
    memoryMb: 128,
    cpu: 0.5,
    command: 'other',
    strategy: 'recreate',
    maxInFlight: 2,
    config: { A: 'flag', N: '1' },
    noRoute: true,
  } as const;

  test('come before the manifest, and are about web', async () => {
    const text =
      'processes: { web: { command: own, instances: 1 }, worker: { command: w } }\nconfig: { A: own, B: own }\nroutes: [a.com]';
    const { spec } = await load({ 'paas.yml': text }, { flags: all });
    expect(spec).toEqual({
      name: 'my-app',
      processes: {
        web: { kind: 'web', command: 'other', instances: 3, memoryMb: 128, cpu: 0.5 },
        worker: { kind: 'worker', command: 'w' },
      },
      config: { A: 'flag', B: 'own', N: '1' },
      routes: [],
      rollout: { strategy: 'recreate', maxInFlight: 2 },
    });
  });

  test('make a web process where there is none, and are about an only one', async () => {
    expect((await load({}, { flags: { instances: 2 } })).spec.processes).toEqual({
      web: { kind: 'web', instances: 2 },
    });
    expect((await load({ Procfile: 'bot: run' }, { flags: { memoryMb: 64 } })).spec.processes).toEqual({
      bot: { kind: 'worker', command: 'run', memoryMb: 64 },
    });
  });

  test('that could be about several process types are refused', async () => {
    const error = await failure({ Procfile: 'a: run\nb: run' }, { flags: { memoryMb: 64, instances: 1 } });
    expect([error.code, error.message]).toEqual(['usage', '--instances, --memory: which of the process types a, b?']);
  });

  test('with a bad name of a config value are refused', async () => {
    const error = await failure({}, { flags: { config: { 'MY-KEY': 'hunter22' } } });
    expect(error.code).toBe('usage');
    expect(error.hint).toBe('Write `MY_KEY`.');
    expect(JSON.stringify(error)).not.toContain('hunter22');
  });
});
