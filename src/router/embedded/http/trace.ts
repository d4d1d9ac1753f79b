/** W3C trace context (https://www.w3.org/TR/trace-context/): one that comes is passed on, else one begins here. */
import { randomBytes } from 'node:crypto';

export interface Trace {
  /** 32 hex digits. */
  id: string;
  /** The router's own part in it: what the instance sees as its parent. 16 hex digits. */
  parent: string;
  /** Two hex digits. */
  flags: string;
  /** As sent. */
  state: string;
}

const form = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/;
/** The flags with a meaning: sampled, and random-trace-id of level 2. All others are sent as zero. */
const knownFlags = 3;

/**
 * @param parent a request's one `traceparent`, '' where it has none or several
 * @param state its `tracestate`, which means nothing without a valid `traceparent`
 */
export function traceOf(parent: string, state: string): Trace {
  const [, version, id, flags = '', rest] = (parent !== '' && form.exec(parent)) || [];
  // Later versions may have more behind what is known of them; this one is sent on as 00 (section 4).
  if (id === undefined || (version === '00' && rest !== undefined)) {
    // Not sampled is the default of who begins a trace without deciding whether it is recorded (3.2.2.5.1).
    return { id: randomHex(16), parent: randomHex(8), flags: '00', state: '' };
  }
  return { id, parent: randomHex(8), flags: `0${Number.parseInt(flags, 16) & knownFlags}`, state };
}

/** The field lines for the instance. */
export function traceFields({ id, parent, flags, state }: Trace): string {
  const line = `traceparent: 00-${id}-${parent}-${flags}\r\n`;
  return state === '' ? line : `${line}tracestate: ${state}\r\n`;
}

/** Random digits in store: asking the system for each few of them would cost more than all the rest. */
const poolBytes = 6144;
let pool = '';
let used = 0;

function randomHex(bytes: number): string {
  if (used + 2 * bytes > pool.length) {
    pool = randomBytes(poolBytes).toString('hex');
    used = 0;
  }
  return pool.slice(used, (used += 2 * bytes));
}
