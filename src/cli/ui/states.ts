import type { Style } from './style.ts';

const good = new Set(['healthy', 'ready', 'succeeded', 'running', 'valid']);
const bad = new Set(['down', 'crashed', 'lost', 'failed', 'error', 'unhealthy', 'unreachable', 'expired']);
const quiet = new Set(['stopped', 'empty', 'drained', 'superseded', 'cancelled']);

/** A state's word in the colour of its meaning. */
export function paintState(style: Style, state: string): string {
  if (good.has(state)) return style.green(state);
  if (bad.has(state)) return style.red(state);
  return quiet.has(state) ? style.dim(state) : style.yellow(state);
}
