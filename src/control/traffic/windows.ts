/**
 * Where the sums of a canary's two releases stood when its step was reached, so that the step's share can be told. In
 * memory, as the sums are: a control plane that begins anew watches a step from its beginning.
 */
import type { Window } from '../rollout/analysis.ts';
import { difference, type Counts } from './counts.ts';
import type { Traffic } from './traffic.ts';

interface Marks {
  appId: string;
  from: number;
  to: number;
  /** The old release's sum when the rollout was first seen. */
  begun: Counts;
  step: { index: number; percent: number; since: number; fresh: Counts; old: Counts } | null;
}

/** The rollout that is watched. */
export interface Watched {
  id: string;
  app_id: string;
  from_release: number | null;
  to_release: number;
}

/** What was answered in a step. */
export interface StepWindow extends Window {
  /** Index of the step. */
  step: number;
  /** The share of the requests that the new release gets in it. */
  percent: number;
  /** ms since 1970. */
  since: number;
}

export class CanaryWindows {
  readonly #traffic: Pick<Traffic, 'total'>;
  readonly #marks = new Map<string, Marks>();

  constructor(traffic: Pick<Traffic, 'total'>) {
    this.#traffic = traffic;
  }

  /** From now on, if not before, the old release's requests are counted for this rollout. */
  watch({ id, app_id: appId, from_release: from, to_release: to }: Watched): void {
    const marks = this.#marks.get(id);
    // A rollout may begin anew with another release.
    if (from === null || (marks?.from === from && marks.to === to)) return;
    this.#marks.set(id, { appId, from, to, begun: this.#traffic.total(appId, from), step: null });
  }

  /** A step was reached: its time begins, unless it has already. Answers whether it began now. */
  begin(id: string, index: number, percent: number, since: number): boolean {
    const marks = this.#marks.get(id);
    if (!marks || marks.step?.index === index) return false;
    const { appId, from, to } = marks;
    const total = (release: number) => this.#traffic.total(appId, release);
    marks.step = { index, percent, since, fresh: total(to), old: total(from) };
    return true;
  }

  /** What came since the last step was reached; null before the first. */
  window(id: string): StepWindow | null {
    const marks = this.#marks.get(id);
    if (!marks?.step) return null;
    const { appId, from, to, begun, step } = marks;
    const old = this.#traffic.total(appId, from);
    return {
      ...{ step: step.index, percent: step.percent, since: step.since },
      fresh: difference(this.#traffic.total(appId, to), step.fresh),
      old: difference(old, step.old),
      oldSinceBegin: difference(old, begun),
    };
  }

  /** Apps of watched rollouts. */
  apps(): Set<string> {
    return new Set([...this.#marks.values()].map(({ appId }) => appId));
  }

  forget(id: string): void {
    this.#marks.delete(id);
  }

  /** Lets go of rollouts that have ended. */
  prune(unfinished: ReadonlySet<string>): void {
    for (const id of this.#marks.keys()) if (!unfinished.has(id)) this.#marks.delete(id);
  }
}
