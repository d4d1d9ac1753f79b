import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadManifest } from '../../../../src/cli/manifest/load.ts';
import { directoryWith, failure, load, problems } from './support.ts';

/** A Cloud Foundry manifest with one application. */
const app = (text: string): Record<string, string> => ({
  'manifest.yml': `applications:\n- name: shop\n  ${text}\n`,
});

describe('variables', () => {
  test('stand for whole values of any type, for parts of texts and for keys', async () => {
    const directory = await directoryWith({
      'manifest.yml': `applications:
- name: ((name))-((stage))
  instances: ((instances))
  memory: ((memory))
  command: ((command))
  env: ((env))
  routes: ((routes))
- name: "((!other))"
  env: { ((key)): "((deep.er.text))!" }
`,
      'a.yml': 'stage: dev\nmemory: 1G\ncommand: true\nenv: { A: 007 }\nroutes: [{ route: a.com }]\nkey: K\n',
      'b.yml': '{"stage": "test", "deep": {"er": {"text": "x"}}, "name": "unused"}',
    });
    const options = {
      directory,
      environment: 'dev',
      flags: {},
      vars: { name: 'shop', instances: '3', other: 'o' },
      varsFiles: [join(directory, 'a.yml'), join(directory, 'b.yml')],
    };
    const first = await loadManifest({ ...options, appName: 'shop-test' });
    expect(first.specs[0]).toEqual({
      name: 'shop-test',
      processes: { web: { kind: 'web', instances: 3, memoryMb: 1024, command: 'true' } },
      config: { A: '007' },
      routes: ['a.com'],
    });
    const second = await loadManifest({ ...options, appName: 'o' });
    expect(second.specs[0]?.config).toEqual({ K: 'x!' });
  });

  test('without a value are all named at once', async () => {
    expect(await problems(app('env: { A: ((one)), B: "x-((two.b))", C: ((one)) }'))).toEqual([
      '3:13 no value for ((one)), ((two.b)); give them with `--var NAME=VALUE` or `--vars-file FILE`',
    ]);
  });

  test('do not show their values in messages', async () => {
    const error = await failure(app('memory: ((secret))\n  instances: "((secret))"'), { vars: { secret: 'hunter22' } });
    expect(error.message).toContain('not the value of ((secret))');
    expect(JSON.stringify(error.details) + error.message + error.hint).not.toContain('hunter22');
  });

  test('that multiply are refused', async () => {
    const items = Array.from({ length: 500 }, () => '((list))').join(', ');
    const list = `[${Array.from({ length: 500 }, () => 'x').join(', ')}]`;
    const directory = await directoryWith({ 'v.yml': `list: ${list}` });
    const all = await problems(app(`buildpacks: [${items}]`), { varsFiles: [join(directory, 'v.yml')] });
    expect(all.join()).toContain('variables expand to too much');
  });

  test('of a file that is missing or no map', async () => {
    expect((await failure(app('memory: 1G'), { varsFiles: ['no-such.yml'] })).code).toBe('not_found');
    const directory = await directoryWith({ 'v.yml': '[a]' });
    expect(await problems(app('memory: 1G'), { varsFiles: [join(directory, 'v.yml')] })).toEqual([
      '1:1 a variables file is a map of names and values',
    ]);
  });

  test('are said to have no effect on other formats', async () => {
    const { notices } = await load({ Procfile: 'web: run' }, { vars: { a: 'b' } });
    expect(notices).toEqual(['`--var` and `--vars-file` have no effect: only Cloud Foundry manifests have variables']);
  });
});
