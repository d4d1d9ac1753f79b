/**
 * How long to wait for the other side. A program that was stopped itself (Ctrl-Z, a laptop asleep) finds its time over and the
 * answer come, both at once: it looks at what has come before it gives up.
 */

/** Calls `giveUp` after so many milliseconds, unless it is called off by then. Returns what calls it off. */
export function after(ms: number, giveUp: () => void): () => void {
  let behind: NodeJS.Immediate | undefined;
  // Timers come before input and output in a turn of the event loop, immediates behind it.
  const timer = setTimeout(() => {
    behind = setImmediate(giveUp);
  }, ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(behind);
  };
}
