/**
 * Health of a running instance over time.
 *
 *   starting ── probe ok ──► healthy ── 2 failures ──► unhealthy (not ready) ── 3 failures ──► end: liveness
 *      │                        ▲────────── 1 success ─────┘
 *      ├── time-out ──► end: startup-timeout
 *      └── the port is another process's ──► end: foreign-port
 */
import type { Health } from '../../shared/contracts/app-spec.ts';
import { jittered, type Clock } from '../clock.ts';
import { explainPort, probe, type ProbeResult } from '../probe.ts';

export interface HealthTarget {
  health: Health;
  address: string;
  /** null without a port, and for health type `process`: then only its life counts. */
  port: number | null;
  /** ms since its start. */
  age(): number;
  /** Whether it has been healthy before, under an earlier agent. */
  healthy: boolean;
  /** How long a process without a port must live to count as healthy, ms. */
  settleMs: number;
  /** Pids of the instance's processes. */
  pids(): number[];
  /** Pids of those that have cut all ties to it; dear to find. */
  strays(): number[];
}

export interface HealthState {
  state: 'starting' | 'healthy' | 'unhealthy';
  message: string | null;
}

export interface HealthEnd {
  kind: 'liveness' | 'startup-timeout' | 'foreign-port';
  message: string;
}

const notReadyAfter = 2;
const deadAfter = 3;
const firstProbeMs = 50;
const slowestProbeMs = 1000;

/**
 * Probes until the instance has to be ended; null when the signal ends it first.
 * @param report called whenever the state or what it waits for changes
 */
export async function watchHealth(
  target: HealthTarget,
  clock: Clock,
  signal: AbortSignal,
  report: (state: HealthState) => void,
): Promise<HealthEnd | null> {
  if (!target.healthy) {
    const end = await awaitStart(target, clock, signal, report);
    if (end !== 'healthy') return end;
  }
  report({ state: 'healthy', message: null });
  return keepProbing(target, clock, signal, report);
}

async function awaitStart(
  target: HealthTarget,
  clock: Clock,
  signal: AbortSignal,
  report: (state: HealthState) => void,
): Promise<HealthEnd | 'healthy' | null> {
  const { health, address, port } = target;
  if (port === null) {
    await clock.sleep(Math.max(0, target.settleMs - target.age()), signal);
    return signal.aborted ? null : 'healthy';
  }
  let explainedAt = 0;
  let reason = `nothing listens on PORT (${port})`;
  for (let pause = firstProbeMs; ; pause = Math.min(pause * 1.3, slowestProbeMs)) {
    const result = await probe(health, address, port, signal);
    if (signal.aborted) return null;
    const age = target.age();
    const late = age >= health.timeoutMs;
    // Only what answers may be another process's; looking for listeners is dear, so else once a second and at the end.
    const explain = result.ok || late || age - explainedAt >= 1000;
    const wrong = explain ? explainFor(target, port) : null;
    if (explain) explainedAt = age;
    if (wrong?.ok === false && wrong.foreign === true) return { kind: 'foreign-port', message: wrong.reason };
    if (result.ok && (wrong === null || wrong.ok)) return 'healthy';
    if (wrong?.ok === false) reason = wrong.reason;
    else if (!result.ok) reason = result.reason;
    if (explain) report({ state: 'starting', message: reason });
    if (late) {
      return { kind: 'startup-timeout', message: `${reason} after ${Math.round(health.timeoutMs / 1000)} s` };
    }
    await clock.sleep(pause, signal);
  }
}

function explainFor(target: HealthTarget, port: number): ProbeResult | null {
  const pids = target.pids();
  const wrong = explainPort(pids, target.address, port);
  if (wrong?.ok !== false || wrong.foreign !== true) return wrong;
  return explainPort([...pids, ...target.strays()], target.address, port);
}

async function keepProbing(
  target: HealthTarget,
  clock: Clock,
  signal: AbortSignal,
  report: (state: HealthState) => void,
): Promise<HealthEnd | null> {
  const { health, address, port } = target;
  if (port === null) {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return null;
  }
  // The first look of a new agent comes soon, since it knows only what the last one saw.
  let pause = target.healthy ? Math.random() * Math.min(1000, health.intervalMs) : jittered(health.intervalMs);
  for (let failures = 0; ;) {
    await clock.sleep(pause, signal);
    pause = jittered(health.intervalMs);
    const result = await probe(health, address, port, signal);
    if (signal.aborted) return null;
    if (result.ok) {
      if (failures >= notReadyAfter) report({ state: 'healthy', message: null });
      failures = 0;
      continue;
    }
    failures += 1;
    if (failures >= notReadyAfter) report({ state: 'unhealthy', message: result.reason });
    if (failures >= deadAfter) return { kind: 'liveness', message: `${deadAfter} probes failed: ${result.reason}` };
  }
}
