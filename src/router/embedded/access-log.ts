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

let second = 0;
let secondText = '';

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
    `{"ts":"${ts}","app":${JSON.stringify(entry.app)},"appId":${JSON.stringify(entry.appId)},` +
    `"instance":${JSON.stringify(entry.instance)},"release":${entry.release},"method":${JSON.stringify(entry.method)},` +
    `"host":${JSON.stringify(entry.host)},"path":${JSON.stringify(entry.path)},"status":${entry.status},` +
    `"bytes":${entry.bytes},"ms":${entry.ms},"requestId":${JSON.stringify(entry.requestId)}${error}}\n`
  );
}
