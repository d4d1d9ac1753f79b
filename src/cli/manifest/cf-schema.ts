/**
 * What a Cloud Foundry `manifest.yml` may say, after "App manifest attribute reference" of docs.cloudfoundry.org
 * (manifest version 1, and the deprecated attributes that old files still carry).
 */
import { integer, leaf, oneOf, seconds, size, text, truth, urlPath, verbatim } from './leaves.ts';
import { configName } from './schema.ts';
import { dropped, field, list, map, object, type Value } from './types.ts';

/** Attributes of a process; at the level of the application they are about `web`. */
const processFields = {
  command: field(text, '`command`; `null` and `default` mean the default of the stack.'),
  instances: field(integer(0, 1000), '`instances`.'),
  memory: field(size(16), '`memory`.'),
  timeout: field(seconds, '`health.timeout`, in seconds.'),
  'health-check-type': field(oneOf('http', 'port', 'process', 'none'), '`health.type`; `none` is `process`.'),
  'health-check-http-endpoint': field(urlPath, '`health.path`.'),
  'health-check-interval': field(seconds, '`health.interval`, in seconds.'),
  'health-check-invocation-timeout': dropped("the time that one probe may take is the platform's."),
  'readiness-health-check-type': dropped('readiness is probed as liveness is.'),
  'readiness-health-check-http-endpoint': dropped('readiness is probed as liveness is.'),
  'readiness-health-check-invocation-timeout': dropped('readiness is probed as liveness is.'),
  'readiness-health-check-interval': dropped('readiness is probed as liveness is.'),
  disk_quota: dropped('disk is not limited by app.'),
  'disk-quota': dropped('disk is not limited by app.'),
  'log-rate-limit-per-second': dropped('log lines are not limited by rate.'),
};

const routeText = leaf('text', (node) => {
  const route = text.read(node);
  return route === undefined ? undefined : { route };
});

const wholeRoutes = 'write whole addresses under `routes`.';

export const cfAppFields = {
  name: field(text, 'The app; it must be a DNS label here.'),
  ...processFields,
  processes: field(
    list(
      object({ type: field(text, 'The process type.'), ...processFields }, { unknown: 'warned' }),
      'a list of processes',
    ),
    '`processes`, by their `type`.',
  ),
  buildpack: field(text, '`stack`, where one does the same.'),
  buildpacks: field(list(text, 'a list of buildpacks'), '`stack` (of the last one), where one does the same.'),
  env: field(map(configName, verbatim), '`config`; maps and lists become JSON.'),
  routes: field(
    list(
      object(
        {
          route: field(text, 'HOST or HOST/PATH.'),
          protocol: field(oneOf('http1', 'http2', 'tcp'), 'Routes are HTTP/1.1.'),
          options: dropped('requests go to the instances in turn.'),
        },
        { unknown: 'warned', shorthand: routeText },
      ),
      'a list of routes',
    ),
    '`routes`; routes with a port (TCP) have no effect: use a process of type `service`.',
  ),
  'no-route': field(truth, '`routes: []`.'),
  'random-route': field(truth, 'No effect: an app has an address of its own.'),
  'default-route': field(truth, 'The address of its own that an app has anyway.'),
  path: field(text, 'The source, relative to the manifest.'),
  docker: field(
    object(
      { image: field(text, 'The image.'), username: dropped("credentials of registries are the platform's.") },
      { unknown: 'warned' },
    ),
    'The image, as with `--image`.',
  ),
  lifecycle: field(oneOf('buildpack', 'docker', 'cnb'), 'No effect: `docker` says it already.'),
  stack: dropped('it names a root file system of Cloud Foundry; see `base` in paas.yml.'),
  services: dropped('services are not bound; give their addresses with `paas config set`.'),
  sidecars: dropped('there are no sidecars; start the second process in `command`, or as a process type.'),
  metadata: dropped('apps have no labels or annotations.'),
  features: dropped('these are switches of Cloud Foundry.'),
  'cnb-credentials': dropped('there are no cloud-native buildpacks.'),
  domain: dropped(wholeRoutes),
  domains: dropped(wholeRoutes),
  host: dropped(wholeRoutes),
  hosts: dropped(wholeRoutes),
  'no-hostname': dropped(wholeRoutes),
};

export const cfApp = object(cfAppFields, { unknown: 'warned' });
export type CfApp = Value<typeof cfApp>;
export type CfProcess = Pick<
  CfApp,
  | 'command'
  | 'instances'
  | 'memory'
  | 'timeout'
  | 'health-check-type'
  | 'health-check-http-endpoint'
  | 'health-check-interval'
>;
