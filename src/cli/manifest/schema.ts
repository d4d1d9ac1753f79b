/**
 * The one table of what `paas.yml` may say. Validation, docs/manifest.md and the examples in it come from here; to add a
 * key, add a row, and use its value in paas-yml.ts.
 */
import {
  cores,
  decimal,
  duration,
  integer,
  label,
  labelHint,
  leaf,
  oneOf,
  rate,
  route,
  schedule,
  size,
  text,
  truth,
  urlPath,
  verbatim,
} from './leaves.ts';
import { field, list, map, object, type Value } from './types.ts';

/** The environments that every project has; others are ephemeral. */
export const commonEnvironments = ['dev', 'test', 'staging', 'prod'];

const healthTypes = ['http', 'port', 'process'] as const;

/** `health: port`, or `health: /healthz` for http at that path. */
const healthShorthand = leaf<{ type?: (typeof healthTypes)[number]; path?: string }>(
  'http, port, process, a path such as /healthz, or a map',
  (node) => {
    const type = healthTypes.find((word) => word === node.value);
    if (type !== undefined) return { type };
    const path = urlPath.read(node);
    return path === undefined ? undefined : { type: 'http', path };
  },
);

export const healthFields = {
  type: field(
    oneOf(...healthTypes),
    '`http`: a GET of `path` answers 2xx or 3xx; `port`: a TCP connection opens; `process`: the process lives.',
    { example: 'http', otherwise: '`http` with a path; else `port` for web and service, `process` for the others' },
  ),
  path: field(urlPath, 'The path for `http`.', { example: '/healthz', otherwise: '`/`' }),
  timeout: field(duration(1000), 'How long an instance may take to become healthy after its start.', {
    example: '90s',
    otherwise: '60s',
  }),
  interval: field(duration(1000), 'Time between two probes of a healthy instance.', {
    example: '5s',
    otherwise: '10s',
  }),
};

export const processFields = {
  type: field(
    oneOf('web', 'service', 'worker', 'cron', 'task'),
    '`web`: HTTP on `PORT`; `service`: TCP on `PORT`; `worker`: no port; `cron`: by a schedule; `task`: runs once.',
    { example: 'service', otherwise: '`web` for the key `web`, `worker` for any other' },
  ),
  command: field(text, 'The command line, run by `sh -c`.', {
    example: 'node server.js',
    otherwise: "the Procfile's, else the stack's",
  }),
  instances: field(integer(0, 1000), 'How many instances run, at the first push.', { example: '2', otherwise: '1' }),
  memory: field(size(16), 'Memory of an instance.', { example: '256M', otherwise: '512M' }),
  cpu: field(cores, 'Cores of an instance.', { example: '0.25', otherwise: 'no limit' }),
  health: field(object(healthFields, { shorthand: healthShorthand }), 'When an instance counts as healthy.', {
    example: '{ type: http, path: /healthz, timeout: 60s }',
  }),
  schedule: field(schedule, 'For `cron`, and required there: five fields, in UTC.', { example: '"0 3 * * *"' }),
  grace: field(duration(0), 'Time between SIGTERM and SIGKILL.', {
    example: '30s',
    otherwise: '30s; 10s on the embedded cloud',
  }),
};

/** `analysis: off`. */
const analysisShorthand = leaf<{ enabled?: boolean }>('off, or a map', (node) => {
  const enabled = truth.read(node);
  return enabled === undefined ? undefined : { enabled };
});

export const analysisFields = {
  enabled: field(truth, 'Whether the new release is compared with the old one; `analysis: off` says no.', {
    example: 'false',
    otherwise: '`true`',
  }),
  max_errors: field(
    decimal(0, 100, ' of points'),
    'How much higher its share of answers with 5xx may be, in points of a hundred.',
    { example: '0.5', otherwise: '1' },
  ),
  max_latency: field(decimal(1, 1000), 'How many times as long its p95 may be (20 ms more are always allowed).', {
    example: '2',
    otherwise: '1.5',
  }),
  min_requests: field(integer(1, 1_000_000_000), 'Requests of the new release before anything is judged.', {
    example: '500',
    otherwise: '100',
  }),
};

export const rolloutFields = {
  strategy: field(oneOf('rolling', 'canary', 'recreate'), 'How a release takes over from the one before.', {
    example: 'rolling',
    otherwise: '`rolling`',
  }),
  max_in_flight: field(integer(1, 1000), 'How many instances are exchanged at a time.', { example: '2' }),
  steps: field(
    list(integer(1, 100), 'a list of shares such as [5, 25, 50]'),
    'For `canary`: the shares of requests that the new release gets, in percent.',
    {
      example: '[5, 25, 50, 100]',
      otherwise: '`[5, 25, 50, 100]`',
    },
  ),
  step_wait: field(duration(0), 'For `canary`: how long each step is watched.', { example: '2m', otherwise: '1m' }),
  manual: field(truth, 'For `canary`: each step waits for `paas rollout continue`.', { example: 'true' }),
  analysis: field(
    object(analysisFields, { shorthand: analysisShorthand }),
    'For `canary`: a new release that answers worse than the old one goes back by itself.',
    { example: '{ max_errors: 1, max_latency: 1.5, min_requests: 100 }' },
  ),
};

/** `outlier: off`. */
const outlierShorthand = leaf<{ failures: number }>('off, or a map', (node) =>
  /^(?:off|no|false)$/i.test(node.text) ? { failures: 0 } : undefined,
);

export const outlierFields = {
  failures: field(integer(1, 1000), 'How many failures in a row it takes.', { example: '3', otherwise: '5' }),
  time: field(duration(1000), 'How long the instance gets no requests.', { example: '30s', otherwise: '10s' }),
};

export const routerFields = {
  protocol: field(oneOf('http', 'h2c'), 'What instances speak: HTTP/1.1, or HTTP/2 without TLS (gRPC).', {
    example: 'h2c',
    otherwise: '`http`',
  }),
  max_connections: field(integer(1, 1_000_000), 'Requests and connections under way in one instance at most.', {
    example: '100',
    otherwise: 'no limit',
  }),
  queue: field(
    integer(0, 1_000_000),
    'With `max_connections`: how many more may wait, per instance. The next gets 503.',
    {
      example: '50',
      otherwise: '0',
    },
  ),
  queue_timeout: field(duration(1), 'With `queue`: how long one waits before it gets 503.', {
    example: '5s',
    otherwise: '10s',
  }),
  rate: field(rate, 'Requests per second of one client address; above it 429.', {
    example: '20',
    otherwise: 'no limit',
  }),
  burst: field(integer(1, 1_000_000), 'With `rate`: how many may come at once.', {
    example: '40',
    otherwise: 'as many as in one second',
  }),
  max_body: field(size(1), "Size of a request's body; above it 413.", { example: '20M', otherwise: 'no limit' }),
  response_timeout: field(duration(1), 'How long an instance may take to begin its answer; then 504.', {
    example: '2m',
    otherwise: '60s',
  }),
  outlier: field(
    object(outlierFields, { shorthand: outlierShorthand }),
    'When an instance that answers 5xx or no connection gets no requests for a while; `off`: never.',
    { example: '{ failures: 3, time: 30s }', otherwise: '`{ failures: 5, time: 10s }`' },
  ),
};

const processName = {
  expected: 'a DNS label (a-z, 0-9 and -)',
  pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
  hint: labelHint,
};
/** Names of config values; what a shell can hold as a variable. */
export const configName = {
  expected: 'a name of letters, digits and _',
  pattern: /^[A-Za-z_][A-Za-z0-9_]*$/,
  hint: (key: string): string | undefined => {
    const name = key
      .slice(0, 100)
      .replaceAll(/[^A-Za-z0-9_]/g, '_')
      .replace(/^(?=\d)/, '_');
    return name === '' ? undefined : `write \`${name}\``;
  },
};

/** What may differ from one environment to another: everything but what the app is called and where it belongs. */
const overlayFields = {
  stack: field(text, 'What builds it: `node`, `python`, `java`, `static`, `procfile`.', {
    example: 'node',
    otherwise: 'detected',
  }),
  base: field(text, 'The base image it runs on.', { example: 'host' }),
  build: field(text, 'The build command.', { example: 'npm run build', otherwise: "the stack's" }),
  release: field(text, 'Runs once before the rollout; when it fails, the old release stays.', {
    example: 'npm run migrate',
  }),
  processes: field(map(processName, object(processFields)), 'The process types by name.', {
    example: '{ web: { command: node server.js } }',
    otherwise: "the Procfile's, else the stack's `web`",
  }),
  routes: field(
    list(route, 'a list of routes', true),
    '`HOST` or `HOST/PATH`; `*.HOST` is any name below. `[]`: none at all.',
    {
      example: '[shop.example.com, shop.example.com/api]',
      otherwise: "the app's own address",
    },
  ),
  config: field(
    map(configName, verbatim),
    'The environment of the app, at the first push. Values are text as written.',
    {
      example: '{ LOG_LEVEL: info, POOL: 007 }',
    },
  ),
  rollout: field(object(rolloutFields), 'How a new release takes over.', { example: '{ max_in_flight: 2 }' }),
  router: field(object(routerFields), 'What routers do for the app; it takes force with the release.', {
    example: '{ max_connections: 100, queue: 50 }',
  }),
};

export const paasSchema = object({
  name: field(label, 'The app. It becomes part of a host name.', {
    example: 'shop',
    otherwise: 'the name of the directory',
  }),
  project: field(label, 'The project that the app belongs to, where `--project` does not say.', {
    example: 'store',
    otherwise: '`default`',
  }),
  ...overlayFields,
  environments: field(
    map({ ...processName, expected: 'the name of an environment (a-z, 0-9 and -)' }, object(overlayFields)),
    'What differs in one environment: merged over the rest, key by key; `routes` replace.',
    { example: '{ prod: { routes: [shop.com], processes: { web: { instances: 4 } } } }' },
  ),
});

export type PaasManifest = Value<typeof paasSchema>;
export type ProcessEntry = NonNullable<PaasManifest['processes']>[string];
export type RouterEntry = NonNullable<PaasManifest['router']>;
export type RolloutEntry = NonNullable<PaasManifest['rollout']>;
export type HealthEntry = NonNullable<ProcessEntry['health']>;

/** For keys one level off: where they belong. */
export const elsewhere = new Map([
  ...Object.keys(processFields).map((key) => [key, `processes.web.${key}`] as const),
  ...Object.keys(rolloutFields).map((key) => [key, `rollout.${key}`] as const),
  ...Object.keys(routerFields).map((key) => [key, `router.${key}`] as const),
  ['env', 'config'] as const,
]);
