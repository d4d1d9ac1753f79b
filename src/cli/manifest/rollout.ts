/** The manifest's `rollout`: its environments, and what the platform gets of it. */
import type { AppSpec } from '../../shared/contracts/app-spec.ts';
import type { RolloutEntry } from './schema.ts';

type Rollout = NonNullable<AppSpec['rollout']>;

/** An environment's keys over the others. Limits that it names switch the analysis on, where the rest says `off`. */
export function mergeRollout(base: RolloutEntry, overlay: RolloutEntry): RolloutEntry {
  const merged = { ...base, ...overlay };
  if (base.analysis && overlay.analysis) merged.analysis = { ...base.analysis, enabled: true, ...overlay.analysis };
  return merged;
}

export function rolloutOf(entry: RolloutEntry): Rollout {
  const { strategy, max_in_flight: maxInFlight, steps, step_wait: stepWaitMs, manual, analysis } = entry;
  return {
    ...(strategy === undefined ? {} : { strategy }),
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(steps === undefined ? {} : { steps }),
    ...(stepWaitMs === undefined ? {} : { stepWaitMs }),
    ...(manual === undefined ? {} : { manual }),
    ...(analysis === undefined ? {} : { analysis: analysisOf(analysis) }),
  };
}

function analysisOf(entry: NonNullable<RolloutEntry['analysis']>): NonNullable<Rollout['analysis']> {
  if (entry.enabled === false) return 'off';
  const { max_errors: maxErrors, max_latency: maxLatency, min_requests: minRequests } = entry;
  return {
    ...(maxErrors === undefined ? {} : { maxErrors }),
    ...(maxLatency === undefined ? {} : { maxLatency }),
    ...(minRequests === undefined ? {} : { minRequests }),
  };
}
