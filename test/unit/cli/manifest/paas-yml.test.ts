import { describe, expect, test } from 'vitest';
import { exampleManifest } from '../../../../src/cli/manifest/reference.ts';
import { appSpec } from '../../../../src/shared/contracts/app-spec.ts';
import { defaultOutlier } from '../../../../src/shared/contracts/routes.ts';
import { describeRouter } from '../../../../src/shared/router-text.ts';
import { load } from './support.ts';

const paas = (text: string): Record<string, string> => ({ 'paas.yml': text });

describe('a paas.yml', () => {
  test('with every key becomes the AppSpec that the server takes', async () => {
    const { spec, project, source, nameSource, warnings } = await load(paas(exampleManifest));
    expect(appSpec.parse(spec)).toEqual(spec);
    expect({ project, source, nameSource, warnings }).toEqual({
      project: 'store',
      source: 'paas.yml',
      nameSource: 'manifest',
      warnings: [],
    });
    expect(spec).toEqual({
      name: 'shop',
      stack: 'node',
      base: 'host',
      build: 'npm run build',
      release: 'npm run migrate',
      processes: {
        web: {
          kind: 'web',
          command: 'node server.js',
          instances: 2,
          memoryMb: 256,
          cpu: 0.25,
          health: { type: 'http', path: '/healthz', timeoutMs: 60_000, intervalMs: 10_000 },
          graceMs: 30_000,
        },
        worker: {
          kind: 'worker',
          command: 'node worker.js',
          health: { type: 'process', timeoutMs: 60_000, intervalMs: 10_000 },
        },
        feed: { kind: 'service', command: 'node feed.js' },
        nightly: { kind: 'cron', schedule: '0 3 * * *', command: 'node nightly.js' },
      },
      routes: ['shop.example.com', 'shop.example.com/api'],
      config: { LOG_LEVEL: 'info', BUILD: '007' },
      rollout: { strategy: 'rolling', maxInFlight: 2 },
      router: {
        limits: { concurrency: 100, queue: 50, rate: { perSecond: 20, burst: 20 }, maxBodyBytes: 20 * 1024 * 1024 },
      },
    });
  });

  test('says what routers do for the app, key by key in each environment', async () => {
    const text = `
router:
  protocol: h2c
  max_connections: 10
  queue_timeout: 5s
  queue: 0
  rate: 0.5
  response_timeout: 2m
  outlier: { failures: 3 }
environments:
  prod: { router: { max_connections: 500, burst: 7, outlier: { time: 30s } } }
  dev: { router: { outlier: off } }
`;
    const limits = {
      concurrency: 10,
      queue: 0,
      queueMs: 5000,
      rate: { perSecond: 0.5, burst: 1 },
      responseMs: 120_000,
    };
    const router = async (environment: string) => (await load(paas(text), { environment })).spec.router;
    expect(await router('test')).toEqual({
      protocol: 'h2c',
      limits,
      outlier: { failures: 3, ejectMs: defaultOutlier.ejectMs },
    });
    expect(await router('prod')).toEqual({
      protocol: 'h2c',
      limits: { ...limits, concurrency: 500, rate: { perSecond: 0.5, burst: 7 } },
      outlier: { failures: 3, ejectMs: 30_000 },
    });
    expect((await router('dev'))?.outlier).toMatchObject({ failures: 0 });
    const ofTime = await load(paas('router: { outlier: { time: 1m } }'));
    expect(ofTime.spec.router?.outlier).toEqual({ failures: defaultOutlier.failures, ejectMs: 60_000 });
  });

  test('whose router settings come back in the words of the manifest', async () => {
    const text = `router:
  protocol: h2c
  max_connections: 10
  queue: 5
  queue_timeout: 1500ms
  rate: 20
  burst: 40
  max_body: 1G
  response_timeout: 1m30s
  outlier: { failures: 2, time: 1m }
`;
    const { spec } = await load(paas(text));
    const said = [...describeRouter(spec.router ?? {})].map(([key, value]) => `  ${key}: ${value}\n`).join('');
    const again = await load(paas(`router:\n${said}`));
    expect(again.spec.router).toEqual(spec.router);
    expect(Object.fromEntries(describeRouter({ outlier: { failures: 0, ejectMs: 1 } }))).toEqual({ outlier: 'off' });
  });

  test('lays the chosen environment over the rest: processes and config by key, routes as a whole', async () => {
    const text = `
routes: [a.com, b.com]
config: { A: base, B: base }
processes:
  web: { command: run, memory: 1G, health: { path: /up, timeout: 5m } }
environments:
  prod:
    routes: [shop.com]
    config: { B: prod, C: prod }
    rollout: { strategy: canary }
    processes:
      web: { instances: 4, health: { timeout: 10s } }
      extra: { command: more }
`;
    const prod = await load(paas(text), { environment: 'prod' });
    expect(prod.spec).toMatchObject({
      routes: ['shop.com'],
      config: { A: 'base', B: 'prod', C: 'prod' },
      rollout: { strategy: 'canary' },
      processes: {
        web: { command: 'run', memoryMb: 1024, instances: 4, health: { type: 'http', path: '/up', timeoutMs: 10_000 } },
        extra: { kind: 'worker', command: 'more' },
      },
    });
    const dev = await load(paas(text), { environment: 'dev' });
    expect(dev.spec).toMatchObject({ routes: ['a.com', 'b.com'], config: { A: 'base', B: 'base' } });
    expect(dev.spec.processes['extra']).toBeUndefined();
  });

  test('forgets the http path where an environment says another type of health check', async () => {
    const text =
      'processes: { web: { health: /up } }\nenvironments: { prod: { processes: { web: { health: port } } } }';
    const { spec } = await load(paas(text), { environment: 'prod' });
    expect(spec.processes['web']?.health).toEqual({ type: 'port', timeoutMs: 60_000, intervalMs: 10_000 });
  });

  test('keeps config as written', async () => {
    const text = 'config: { A: 007, B: yes, C: 1.10, D: "x", E: true, F: 0x1F, G: "", H: 1e3, I: 2026-01-02 }';
    const { spec } = await load(paas(text));
    expect(spec.config).toEqual({
      ...{ A: '007', B: 'yes', C: '1.10', D: 'x', E: 'true', F: '0x1F', G: '', H: '1e3', I: '2026-01-02' },
    });
  });

  test.each(['port', 'process', 'http'])('takes health: %s', async (type) => {
    const { spec } = await load(paas(`processes: { web: { health: ${type} } }`));
    expect(spec.processes['web']?.health?.type).toBe(type);
  });

  test('takes anchors, aliases and merge keys', async () => {
    const text = `
processes:
  web: &base { command: run, memory: 128M, instances: 2 }
  other: { <<: *base, instances: 1 }
`;
    const { spec } = await load(paas(text));
    expect(spec.processes['other']).toEqual({ kind: 'worker', command: 'run', memoryMb: 128, instances: 1 });
  });

  test.each([
    ['CRLF', 'name: shop\r\nprocesses:\r\n  web:\r\n    command: run\r\n'],
    ['a byte order mark', '\ufeffname: shop\nprocesses: { web: { command: run } }\n'],
    ['a document start', '---\nname: shop\nprocesses: { web: { command: run } }\n...\n'],
    ['JSON', '{"name": "shop", "processes": {"web": {"command": "run"}}}'],
  ])('may have %s', async (_, text) => {
    const { spec } = await load(paas(text));
    expect(spec).toEqual({ name: 'shop', processes: { web: { kind: 'web', command: 'run' } } });
  });

  test.each(['', '# nothing yet\n', 'processes:\n', 'config:\nprocesses:\n  web:\n'])(
    'may say little: %j',
    async (text) => {
      const { spec, nameSource } = await load(paas(text));
      expect(spec.name).toBe('my-app');
      expect(nameSource).toBe('directory');
    },
  );

  test('gets the commands, process types and release command that it lacks from a Procfile', async () => {
    const { spec } = await load({
      'paas.yml': 'processes: { web: { memory: 1G }, mailer: { command: own } }',
      Procfile: 'web: from-procfile\nmailer: other\nclock: tick\nrelease: migrate\n',
    });
    expect(spec).toMatchObject({
      release: 'migrate',
      processes: {
        web: { kind: 'web', memoryMb: 1024, command: 'from-procfile' },
        mailer: { command: 'own' },
        clock: { kind: 'worker', command: 'tick' },
      },
    });
  });

  test('says which environments are used only when named', async () => {
    const { notices } = await load(paas('environments: { production: {}, prod: {}, pr-17: {} }'), {
      environment: 'pr-17',
    });
    expect(notices).toEqual(['`environments.production` is used only with `--env production`; did you mean `prod`?']);
  });
});
