/** What routers saw, as people read it. */
import type { AppTraffic, CanaryAnalysisView } from '../../shared/contracts/api.ts';
import { ago } from './times.ts';
import type { Ui } from './ui.ts';

const number = (n: number): string => n.toLocaleString('en-US');
const latency = (ms: number | null): string => (ms === null ? '-' : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`);

/** The releases that had requests lately, below what else there is of an app. */
export function showTraffic(ui: Ui, { since, releases }: AppTraffic): void {
  if (releases.length === 0) return;
  ui.line();
  ui.line(`Requests of the last ${ago(since)}:`);
  ui.table(
    ['RELEASE', 'REQUESTS#', '2XX#', '3XX#', '4XX#', '5XX#', 'P50#', 'P95#', 'P99#', 'OPEN#'],
    releases.map(({ release, requests, classes, p50, p95, p99, open }) => [
      `v${release}`,
      number(requests),
      ...classes.slice(1).map(number),
      ...[p50, p95, p99].map(latency),
      number(open),
    ]),
  );
}

/** A canary's two releases at its step. */
export function showAnalysis(ui: Ui, analysis: CanaryAnalysisView): void {
  const { step, percent, since, verdict, limits, old } = analysis;
  ui.line();
  ui.line(`Step ${step + 1} (${percent} %), the last ${ago(since)}: ${verdicts[verdict]}`);
  ui.table(
    ['RELEASE', 'REQUESTS#', '5XX#', 'P95#', ''],
    [analysis.new, old].map(({ release, requests, errorPercent, p95 }, i) => [
      `v${release}`,
      number(requests),
      `${errorPercent.toFixed(1)} %`,
      latency(p95),
      i === 1 && old.sinceBegin ? 'since the rollout began' : '',
    ]),
  );
  if (limits === null) return;
  const { maxErrors, maxLatency, minRequests } = limits;
  ui.line(`Limits: 5xx +${maxErrors.toFixed(1)} points, p95 x ${maxLatency}, from ${number(minRequests)} requests on.`);
}

const verdicts: Record<CanaryAnalysisView['verdict'], string> = {
  off: 'nobody compares (`--no-analysis`)',
  undecided: 'too few requests yet to judge',
  fine: 'no worse than before',
  errors: 'too many errors; it goes back',
  latency: 'too slow; it goes back',
};
