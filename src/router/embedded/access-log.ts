/** One request, as a line of `access.log`. */
export interface AccessEntry {
  /** ms since the epoch when its head was read; ISO in the file. */
  ts: number;
  /** `project/environment/app`, '' when no route matched. */
  app: string;
  appId: string;
  /** `web.3`, '' when it reached none. */
  instance: string;
  release: number;
  method: string;
  host: string;
  /** Without the query, which may carry secrets. */
  path: string;
  status: number;
  /** Content sent to the client. */
  bytes: number;
  ms: number;
  requestId: string;
  /** Why the router itself answered, or why a response broke off. */
  error?: string;
}

let second = -1;
let secondText = '';

const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const quote = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

/** Put together by hand: this runs for every request, and only what clients chose needs escaping. */
export function accessLine(entry: AccessEntry): string {
  const whole = Math.floor(entry.ts / 1000);
  if (whole !== second) {
    second = whole;
    secondText = new Date(whole * 1000).toISOString().slice(0, 20);
  }
  const ts = `${secondText}${String(entry.ts % 1000).padStart(3, '0')}Z`;
  const error = entry.error === undefined ? '' : `,"error":"${entry.error}"`;
  return (
    `{"ts":"${ts}","app":${quote(entry.app)},"appId":${quote(entry.appId)},` +
    `"instance":${quote(entry.instance)},"release":${entry.release},"method":${quote(entry.method)},` +
    `"host":${quote(entry.host)},"path":${quote(entry.path)},"status":${entry.status},` +
    `"bytes":${entry.bytes},"ms":${entry.ms},"requestId":${quote(entry.requestId)}${error}}\n`
  );
}
