/** The manifest's `router`: its environments, the rules between its keys, and what the platform gets of it. */
import type { RouterSettings } from '../../shared/contracts/app-spec.ts';
import type { Limits, Outlier } from '../../shared/contracts/routes.ts';
import type { Reader } from './read.ts';
import type { RouterEntry } from './schema.ts';

/** As in contracts/routes.ts, which would cost a push the loading of its schemas; a test keeps the two equal. */
const defaultOutlier: Outlier = { failures: 5, ejectMs: 10_000 };

/** An environment's keys over the others, `outlier` key by key too. */
export function mergeRouter(base: RouterEntry, overlay: RouterEntry): RouterEntry {
  const outlier = base.outlier && overlay.outlier ? { outlier: { ...base.outlier, ...overlay.outlier } } : {};
  return { ...base, ...overlay, ...outlier };
}

/** Keys that mean nothing without another one. */
const needs = [
  ['queue', 'max_connections'],
  ['queue_timeout', 'queue'],
  ['burst', 'rate'],
] as const;

export function checkRouter(router: RouterEntry, environment: string, reader: Reader): void {
  for (const [key, other] of needs) {
    if (router[key] === undefined || router[other] !== undefined) continue;
    const at = reader.positions.get(`environments.${environment}.router.${key}`) ??
      reader.positions.get(`router.${key}`) ?? { file: 'paas.yml', line: 1, column: 1 };
    reader.problems.add(at, `\`router.${key}\` has no meaning without \`router.${other}\``, `add \`${other}\``);
  }
}

export function routerOf(router: RouterEntry): RouterSettings {
  const { protocol, outlier } = router;
  const limits = limitsOf(router);
  return {
    ...(protocol === undefined ? {} : { protocol }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(outlier === undefined
      ? {}
      : {
          outlier: {
            failures: outlier.failures ?? defaultOutlier.failures,
            ejectMs: outlier.time ?? defaultOutlier.ejectMs,
          },
        }),
  };
}

function limitsOf(router: RouterEntry): Limits {
  const { max_connections: concurrency, queue, queue_timeout: queueMs, rate, burst } = router;
  const { max_body: maxBodyMb, response_timeout: responseMs } = router;
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(queue === undefined ? {} : { queue }),
    ...(queueMs === undefined ? {} : { queueMs }),
    ...(rate === undefined ? {} : { rate: { perSecond: rate, burst: burst ?? Math.max(1, Math.ceil(rate)) } }),
    ...(maxBodyMb === undefined ? {} : { maxBodyBytes: maxBodyMb * 1024 * 1024 }),
    ...(responseMs === undefined ? {} : { responseMs }),
  };
}
