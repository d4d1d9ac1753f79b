/** Waits for work, but no longer than until the signal is aborted: the work goes on without anybody to wait for it. */
export async function unlessAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => (stop = resolve));
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * A signal that is aborted as soon as one of several is: AbortSignal.any, which Node 18 lacks. Listeners are removed
 * then, so that a signal that lives as long as the agent does not gather them.
 */
export function eitherSignal(...signals: AbortSignal[]): AbortSignal {
  const either = new AbortController();
  const abort = (): void => {
    for (const signal of signals) signal.removeEventListener('abort', abort);
    either.abort(signals.find((signal) => signal.aborted)?.reason);
  };
  for (const signal of signals) signal.addEventListener('abort', abort);
  if (signals.some((signal) => signal.aborted)) abort();
  return either.signal;
}
