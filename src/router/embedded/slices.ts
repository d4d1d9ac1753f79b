/** Long work in short slices, so that requests on their way through the router do not wait for it. */
import { setImmediate as nextTurn } from 'node:timers/promises';

const sliceMs = 5;

/** Runs work to its end; between two of its steps others get their turn. */
export async function inSlices<T>(work: Iterator<void, T>): Promise<T> {
  let until = performance.now() + sliceMs;
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + sliceMs;
  }
}

/** Runs work to its end at once. */
export function atOnce<T>(work: Iterator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
