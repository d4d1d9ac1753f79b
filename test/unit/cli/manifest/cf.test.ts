import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { appSpec } from '../../../../src/shared/contracts/app-spec.ts';
import { directoryWith, failure, load, problems } from './support.ts';
import { loadManifest } from '../../../../src/cli/manifest/load.ts';

const cf = (text: string): Record<string, string> => ({ 'manifest.yml': text });
const app = (text: string): Record<string, string> => cf(`applications:\n- name: shop\n  ${text}\n`);

/** In the style of the examples of docs.cloudfoundry.org. */
const spring = `---
defaults: &defaults
  memory: 1G
  buildpacks: [java_buildpack]
  env: &env
    SPRING_PROFILES_ACTIVE: cloud
    JBP_CONFIG_OPEN_JDK_JRE: '{ jre: { version: 17.+ } }'
applications:
- <<: *defaults
  name: orders
  path: target/orders.jar
  instances: 2
  disk_quota: 512M
  timeout: 180
  health-check-type: http
  health-check-http-endpoint: /actuator/health
  health-check-invocation-timeout: 10
  routes:
  - route: orders.example.com
  - route: example.com/orders
    protocol: http2
  - route: tcp.example.com:1234
  services:
  - orders-db
  - name: queue
    parameters: { size: 2 }
  metadata: { labels: { team: shop } }
- <<: *defaults
  name: Mail_Worker
  no-route: true
  health-check-type: process
  command: java -jar worker.jar
  env: { <<: *env, QUEUE: ((queue.name)) }
`;

describe('a Cloud Foundry manifest', () => {
  test('with several applications gives the one that is named', async () => {
    const { spec, source, path, notices, nameSource } = await load(cf(spring), {
      appName: 'orders',
      vars: { 'queue.name': 'q' },
    });
    expect(appSpec.parse(spec)).toEqual(spec);
    expect(spec).toEqual({
      name: 'orders',
      stack: 'java',
      processes: {
        web: {
          kind: 'web',
          instances: 2,
          memoryMb: 1024,
          health: { type: 'http', path: '/actuator/health', timeoutMs: 180_000, intervalMs: 10_000 },
        },
      },
      routes: ['orders.example.com', 'example.com/orders'],
      config: { SPRING_PROFILES_ACTIVE: 'cloud', JBP_CONFIG_OPEN_JDK_JRE: '{ jre: { version: 17.+ } }' },
    });
    expect([source, nameSource]).toEqual(['manifest.yml', 'flag']);
    expect(path).toMatch(/my-app\/target\/orders\.jar$/);
    for (const ignored of [
      'disk_quota',
      'health-check-invocation-timeout',
      'http2',
      'tcp.example.com:1234',
      'services',
      'metadata',
    ]) {
      expect(notices.filter((notice) => notice.includes(ignored))).toHaveLength(1);
    }
    expect(notices).toHaveLength(6);
  });

  test('finds an application by its name as a DNS label, and takes nested variables from a file', async () => {
    const directory = await directoryWith({ 'manifest.yml': spring, 'vars.yml': 'queue: { name: mails }\n' });
    const { specs } = await loadManifest({
      directory,
      environment: 'dev',
      flags: {},
      appName: 'mail-worker',
      varsFiles: [join(directory, 'vars.yml')],
    });
    expect(specs[0]).toMatchObject({
      name: 'mail-worker',
      routes: [],
      processes: { web: { command: 'java -jar worker.jar', health: { type: 'process' } } },
      config: { QUEUE: 'mails', SPRING_PROFILES_ACTIVE: 'cloud' },
    });
  });

  test('with several applications and no name, or another one, lists them', async () => {
    const vars = { 'queue.name': 'q' };
    const unnamed = await failure(cf(spring), { vars });
    expect([unnamed.code, unnamed.message]).toEqual([
      'usage',
      'manifest.yml has 2 applications: `orders`, `Mail_Worker`.',
    ]);
    const other = await failure(cf(spring), { vars, appName: 'shop' });
    expect([other.code, other.exit, other.hint]).toEqual(['not_found', 5, 'It has `orders`, `Mail_Worker`.']);
  });

  test('with one application is renamed by the name that is asked for', async () => {
    const { spec } = await load(cf('applications: [{ name: My App }]'), { appName: 'shop' });
    expect(spec.name).toBe('shop');
    expect(await problems(cf('applications: [{ name: My App }]'))).toEqual([
      '1:24 the name `My App` is not a DNS label (a-z, 0-9 and -); write `my-app`',
    ]);
  });

  test('turns processes into process types', async () => {
    const { spec, notices } = await load(
      app(`command: default
  memory: 256M
  processes:
  - type: web
    command: bundle exec puma
    instances: 3
  - type: mail_worker
    command: bundle exec sidekiq
    health-check-type: none
    timeout: 30
    health-check-interval: 5`),
    );
    expect(spec.processes).toEqual({
      web: { kind: 'web', command: 'bundle exec puma', instances: 3, memoryMb: 256 },
      'mail-worker': {
        kind: 'worker',
        command: 'bundle exec sidekiq',
        health: { type: 'process', timeoutMs: 30_000, intervalMs: 5000 },
      },
    });
    expect(notices).toEqual(['the process type `mail_worker` is called `mail-worker` here']);
  });

  test.each([
    ['buildpack: nodejs_buildpack', 'node'],
    ['buildpacks: [https://github.com/cloudfoundry/nodejs-buildpack.git#v1.8.6]', 'node'],
    ['buildpacks: [python_buildpack]', 'python'],
    ['buildpacks: [https://me:secret@example.com/java-buildpack]', 'java'],
    ['buildpack: staticfile_buildpack', 'static'],
    ['buildpack: binary_buildpack', 'procfile'],
    ['buildpack: null', undefined],
  ])('%s', async (text, stack) => {
    const { spec, notices } = await load(app(text));
    expect(spec.stack).toBe(stack);
    expect(notices).toEqual([]);
  });

  test('says which buildpacks have no stack', async () => {
    const { spec, notices } = await load(app('buildpacks: [https://me:pw@example.com/apt-buildpack, ruby_buildpack]'));
    expect(spec.stack).toBeUndefined();
    expect(notices).toEqual([
      'no stack stands for the buildpack `ruby_buildpack`; the stack is detected from the source',
      'one stack builds an app: of the buildpacks only the last is used, not `apt-buildpack`',
    ]);
  });

  test('passes env as Cloud Foundry does: maps as JSON, null as empty', async () => {
    const { spec } = await load(app('env: { A: 1, B: { x: [1, true] }, C: , D: 007 }'));
    expect(spec.config).toEqual({ A: '1', B: '{"x":[1,true]}', C: '', D: '007' });
  });

  test('inherits the deprecated attributes above the applications', async () => {
    const { spec, notices } = await load(
      cf('memory: 1G\nenv: { A: top, B: top }\napplications:\n- name: shop\n  env: { B: own }\n'),
    );
    expect(spec.processes['web']?.memoryMb).toBe(1024);
    expect(spec.config).toEqual({ A: 'top', B: 'own' });
    expect(notices).toEqual([
      '`memory` above `applications` is deprecated; use an anchor',
      '`env` above `applications` is deprecated; use an anchor',
    ]);
  });

  test('names what has no effect, and keeps quiet about what holds anchors', async () => {
    const { notices } = await load(
      cf(`version: 1
x: { list: [&deep { A: b }] }
something: else
applications:
- name: shop
  random-route: true
  sidecars: [{ name: s, process_types: [web], command: c }]
  stack: cflinuxfs4
  host: shop
  mystery: 1
  env: *deep
`),
    );
    expect(notices.map((notice) => notice.replace(/:? .*/, ''))).toEqual([
      '`something`',
      '`applications[0].sidecars`',
      '`applications[0].stack`',
      '`applications[0].host`',
      '`mystery`',
      '`random-route`',
    ]);
  });

  test('hands a docker image on', async () => {
    const { image, notices } = await load(app('docker: { image: "nginx:1", username: me }'));
    expect(image).toBe('nginx:1');
    expect(notices).toHaveLength(1);
  });

  test('gets its commands from the Procfile at its path', async () => {
    const { spec, path } = await load({
      'manifest.yml': 'applications: [{ name: shop, path: src }]',
      'src/Procfile': 'web: node server.js\nworker: node worker.js\n',
    });
    expect(path).toMatch(/my-app\/src$/);
    expect(spec.processes).toEqual({
      web: { kind: 'web', command: 'node server.js' },
      worker: { kind: 'worker', command: 'node worker.js' },
    });
  });

  test.each([
    ['memroy: 1G', '3:3 unknown key `memroy`; did you mean `memory`?'],
    [
      'memory: 1',
      '3:11 `applications[0].memory` must be a size of at least 16M, such as 256M or 1G, not the number `1`; write the unit: 1M',
    ],
    [
      'health-check-type: htpt',
      '3:22 `applications[0].health-check-type` must be one of http, port, process, none, not the text `htpt`; did you mean `http`?',
    ],
    [
      'routes: [{ route: "https://a.com" }]',
      "3:12 `https://a.com` is not a route: a route has no scheme; Leave `https://` out; TLS is the platform's matter, not the route's.",
    ],
    ['routes: [{ protocol: tcp }]', '3:12 an item of `routes` must have the key `route`'],
    ['processes: [{ command: x }]', '3:15 `processes[0]` must have a `type` such as web or worker'],
    ['processes: [{ type: a }, { type: a }]', '3:28 duplicate process type `a`'],
    [
      'env: { a.b: 1 }',
      '3:10 the key `a.b` in `applications[0].env` must be a name of letters, digits and _; write `a_b`',
    ],
  ])('%s is refused', async (text, expected) => {
    expect(await problems(app(text))).toContain(expected);
  });

  test.each([
    ['applications: []', /1:15 a Cloud Foundry manifest has a list `applications`/],
    ['applications: [shop]', /1:16 `applications\[0\]` must be a map/],
    ['name: shop\nmemory: 1G', /1:1 .*it has none/],
    ['', /1:1 .*it has none/],
    ['inherit: base.yml\napplications: [{ name: a }]', /1:1 `inherit` is not read/],
  ])('%j is refused', async (text, expected) => {
    expect((await problems(cf(text))).join('\n')).toMatch(expected);
  });

  test('of another tool is passed over with a warning', async () => {
    const { source, notices } = await load(cf('apiVersion: v1\nkind: Pod\n'));
    expect(source).toBe('none');
    expect(notices).toEqual(['manifest.yml is not read: it is no manifest of Cloud Foundry']);
  });
});
