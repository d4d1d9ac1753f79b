import { describe, expect, test } from 'vitest';
import { failure, problems } from './support.ts';

const paas = (text: string): Record<string, string> => ({ 'paas.yml': text });

describe('a wrong paas.yml is refused with place and remedy', () => {
  test('an unknown key names the nearest known one', async () => {
    const error = await failure(paas('name: shop\nprocesses:\n  web:\n    comand: run\n'));
    expect(error.code).toBe('manifest_invalid');
    expect(error.exit).toBe(3);
    expect(error.message).toBe('unknown key `comand` at paas.yml:4:5; did you mean `command`?');
    expect(error.details['problems']).toEqual([
      { file: 'paas.yml', line: 4, column: 5, message: 'unknown key `comand`', hint: 'did you mean `command`?' },
    ]);
  });

  test('all problems at once, in the order of the file', async () => {
    const error = await failure({
      'paas.yml': 'nmae: shop\nprocesses:\n  web: { instances: two }\nenvironments: { prod: { routes: x } }\n',
      Procfile: 'not a line\n',
    });
    expect(error.message.split('\n')).toEqual([
      '4 problems in Procfile, paas.yml:',
      '  not a line of the form `type: command` at Procfile:1:1; as in `web: node server.js`; comments begin with #',
      '  unknown key `nmae` at paas.yml:1:1; did you mean `name`?',
      '  `processes.web.instances` must be a whole number from 0 to 1000, not the text `two` at paas.yml:3:21',
      '  `environments.prod.routes` must be a list of routes, not the text `x` at paas.yml:4:33; write [x]',
    ]);
  });

  test.each([
    ['instances: 2', '1:1 unknown key `instances`; `instances` belongs at `processes.web.instances`'],
    ['max_body: 2M', '1:1 unknown key `max_body`; `max_body` belongs at `router.max_body`'],
    [
      'router: { queue: 5 }',
      '1:18 `router.queue` has no meaning without `router.max_connections`; add `max_connections`',
    ],
    ['router: { burst: 5 }', '1:18 `router.burst` has no meaning without `router.rate`; add `rate`'],
    [
      'router: { protocol: http2 }',
      '1:21 `router.protocol` must be one of http, h2c, not the text `http2`; did you mean `http`?',
    ],
    [
      'router: { rate: -1 }',
      '1:17 `router.rate` must be a number of requests per second, from 0.01 to 1000000, not the number `-1`',
    ],
    ['router: { outlier: sometimes }', '1:20 `router.outlier` must be off, or a map, not the text `sometimes`'],
    ['env: { A: b }', '1:1 unknown key `env`; `env` belongs at `config`'],
    [
      'name: My App',
      '1:7 `name` must be a DNS label (a-z, 0-9 and -, at most 63 characters), not the text `My App`; write `my-app`',
    ],
    ['name: null', '1:7 `name` must be a DNS label (a-z, 0-9 and -, at most 63 characters), not nothing'],
    ['stack: 5', '1:8 `stack` must be text, not the number `5`; put it in quotes: "5"'],
    ['processes: [web]', '1:12 `processes` must be a map of keys and values, not a list'],
    ['processes: { Web: {} }', '1:14 the key `Web` in `processes` must be a DNS label (a-z, 0-9 and -); write `web`'],
    [
      'processes: { web: { memory: 256 } }',
      '1:29 `processes.web.memory` must be a size of at least 16M, such as 256M or 1G, not the number `256`; write the unit: 256M',
    ],
    [
      'processes: { web: { memory: 8M } }',
      '1:29 `processes.web.memory` must be a size of at least 16M, such as 256M or 1G, not the text `8M`',
    ],
    [
      'processes: { web: { cpu: 0 } }',
      '1:26 `processes.web.cpu` must be a number of cores above 0, at most 1024, not the number `0`',
    ],
    [
      'processes: { web: { instances: 1.5 } }',
      '1:32 `processes.web.instances` must be a whole number from 0 to 1000, not the number `1.5`',
    ],
    [
      'processes: { web: { grace: 30 } }',
      '1:28 `processes.web.grace` must be a time from 0s to 1d, such as 60s or 5m, not the number `30`; write the unit: 30s',
    ],
    [
      'processes: { web: { type: wbe } }',
      '1:27 `processes.web.type` must be one of web, service, worker, cron, task, not the text `wbe`; did you mean `web`?',
    ],
    [
      'processes: { web: { health: healthz } }',
      '1:29 `processes.web.health` must be http, port, process, a path such as /healthz, or a map, not the text `healthz`',
    ],
    [
      'processes: { web: { health: { type: port, path: /x } } }',
      '1:49 `processes.web.health.path` is not for type port; leave it out, or write `type: http`',
    ],
    [
      'processes: { x: { health: port } }',
      '1:27 `processes.x.health` of type port needs a process with a port; use `process`, or give the process `type: web` or `service`',
    ],
    [
      'processes: { x: { type: cron } }',
      '1:17 `processes.x` is of type cron and has no `schedule`; add schedule: "0 3 * * *"',
    ],
    [
      'processes: { x: { schedule: "* * * * *" } }',
      '1:29 `processes.x.schedule` is not for type worker; add `type: cron`',
    ],
    [
      'processes: { x: { type: cron, schedule: "61 * * * *" } }',
      '1:41 `processes.x.schedule` is not a schedule: Invalid value for minute: 61',
    ],
    [
      'processes: { x: { type: cron, schedule: "0 0 31 2 *" } }',
      '1:41 `processes.x.schedule` is not a schedule: it names a day that never comes',
    ],
    [
      'processes: { x: { type: cron, schedule: "* * * * * *" } }',
      '1:41 `processes.x.schedule` must be five fields in quotes: minute, hour, day of the month, month, day of the week, not the text `* * * * * *`; for instance "0 3 * * *", every night at three (UTC)',
    ],
    ['routes: [a.com, A.com/]', '1:17 `routes` names `A.com/` twice'],
    [
      'routes: ["http://a.com"]',
      "1:10 `routes[0]` must be a route, HOST or HOST/PATH, not the text `http://a.com`; a route has no scheme. Leave `http://` out; TLS is the platform's matter, not the route's.",
    ],
    [
      'config: { A: ~ }',
      '1:14 `config.A` must be text, a number or true/false, not nothing; write "" for an empty value',
    ],
    ['config: { A: [1] }', '1:14 `config.A` must be text, a number or true/false, not a list'],
    [
      'config: { MY-KEY: x }',
      '1:11 the key `MY-KEY` in `config` must be a name of letters, digits and _; write `MY_KEY`',
    ],
    [
      'rollout: { strategy: rollign }',
      '1:22 `rollout.strategy` must be one of rolling, canary, recreate, not the text `rollign`; did you mean `rolling`?',
    ],
    [
      'environments: { prod: { name: x } }',
      '1:25 unknown key `name`; known here: stack, base, build, release, processes, routes, config, rollout, router',
    ],
    ['just text', '1:1 `paas.yml` must be a map of keys and values, not the text `just text`'],
    ['name: a\nname: b', '2:1 duplicate key `name`; it is first given in line 1'],
    ['a: 1\n---\nb: 2', '2:1 a second YAML document; a manifest is one document, with one `---` at most'],
    ['name: !!binary aGk=', '1:16 the tag `tag:yaml.org,2002:binary` has no meaning here; put the value in quotes'],
    ['? [a]\n: b', '1:3 a key must be text, not a list'],
    ['build: "a\\0b"', '1:8 `build` must be text, not the text `a\0b`'],
    ['processes: { web: &w { <<: 5 } }', '1:28 a merge key `<<` takes a map, or a list of maps'],
  ])('%s', async (text, expected) => {
    expect(await problems(paas(text))).toContain(expected);
  });

  test.each([
    ['name: *x', /^1:7 .*alias/],
    ['name: &x [*x]', /1:11 the alias `\*x` refers to itself/],
    ['name:\n\tx: 1', /^2:1 not valid YAML: Tabs are not allowed as indentation; indent with blanks/],
    ['routes: [a, b\nname: x', /not valid YAML/],
    ['name: "x', /not valid YAML/],
    ['a: b: c', /not valid YAML/],
    ['name: !mine x', /not valid YAML.*in quotes/],
  ])('YAML error %j', async (text, expected) => {
    expect((await problems(paas(text))).join('\n')).toMatch(expected);
  });

  test('a key that is wrong in an environment that is not the chosen one', async () => {
    expect(await problems(paas('environments: { prod: { processes: { web: { memroy: 1G } } } }'))).toEqual([
      '1:45 unknown key `memroy`; did you mean `memory`?',
    ]);
  });

  test('a mistake behind an alias is told once', async () => {
    const text = 'processes:\n  a: &a { memory: lots }\n  b: *a\n  c: *a\n';
    expect(await problems(paas(text))).toHaveLength(3);
    expect((await problems(paas('config: &c { A: [1] }\nenvironments: { prod: { config: *c } }'))).length).toBe(2);
  });

  test('many mistakes are shown up to a bound and counted', async () => {
    const keys = Array.from({ length: 80 }, (_, index) => `key-${index}-xyz: 1`).join('\n');
    const error = await failure(paas(keys));
    expect(error.message).toContain('80 problems in paas.yml');
    expect(error.message).toContain('… and 30 more');
    expect(error.details).toMatchObject({ count: 80 });
  });
});

describe('bombs and odd bytes', () => {
  test('aliases that multiply', async () => {
    const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 12; i++)
      rows.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`);
    expect((await problems(paas(rows.join('\n')))).join()).toContain('more than 100000 values, with aliases expanded');
  });

  test.each([['['], ['{a: '], ['- '], ['? ']])('nesting by %j', async (unit) => {
    expect((await problems(paas(unit.repeat(20_000)))).join()).toContain('levels deep');
  });

  test('a file above 1 MiB', async () => {
    const error = await failure(paas(`# ${'x'.repeat(1024 * 1024)}\n`));
    expect([error.code, error.exit]).toEqual(['too_large', 3]);
  });

  test('a file that is not UTF-8, with the place', async () => {
    const bytes = Buffer.concat([Buffer.from('name: shop\nbuild: '), Buffer.from([0xff, 0xfe]), Buffer.from('\n')]);
    expect((await problems({ 'paas.yml': bytes })).join()).toContain('2:8 not UTF-8 text; save it as UTF-8');
  });

  test('a directory called paas.yml', async () => {
    expect((await failure({ 'paas.yml/x': '' })).message).toBe('paas.yml is not a file.');
  });
});
