/** SpeedyCloud's words for states and errors, in those of the port. */
import type { SpeedyJob } from '../../shared/contracts/speedycloud.ts';
import { speedyError } from '../../shared/contracts/speedycloud.ts';
import { PaasError, type ErrorCode } from '../../shared/errors.ts';
import { redact } from '../../shared/redact.ts';
import { retryAfterMs } from '../caller.ts';
import type { HttpResponse } from '../http.ts';
import type { CloudHostState } from '../port.ts';

const states: Record<string, CloudHostState> = {
  created: 'pending',
  provisioning: 'pending',
  running: 'running',
  stopped: 'stopped',
  // A suspended host serves nothing and keeps its disk: to the platform it is off.
  suspended: 'stopped',
  error: 'error',
};

/** What a job under way makes of the state; jobs not named here (backup, tag, …) change nothing. */
const jobStates: Record<string, CloudHostState> = {
  provision: 'pending',
  start: 'pending',
  resume: 'pending',
  restart: 'pending',
  stop: 'stopping',
  suspend: 'stopping',
  destroy: 'deleting',
};

/** The port's state of a host in `status` with these jobs (of which those that have ended do not count). */
export function normaliseState(status: string, jobs: SpeedyJob[]): CloudHostState {
  for (const job of jobs) {
    const state = isBusy(job) ? jobStates[job.name.toLowerCase()] : undefined;
    if (state !== undefined) return state;
  }
  return states[status.toLowerCase()] ?? 'unknown';
}

/** Whether the job has not ended yet. */
export function isBusy(job: SpeedyJob): boolean {
  const status = job.status.toLowerCase();
  return status === 'queue' || status === 'running';
}

/** Whether a host in this state must be powered off before it can be destroyed. */
export function hasPower(state: CloudHostState): boolean {
  return state === 'running' || state === 'pending' || state === 'stopping' || state === 'unknown';
}

/** The provider documents one error shape and no codes, so the text decides where the HTTP status does not. */
const byText: [RegExp, ErrorCode][] = [
  [/quota|limit (is )?(exceeded|reached)|balance|insufficient fund/i, 'cloud_quota'],
  [/capacity|out of stock|no (available )?resource|insufficient (resource|host)/i, 'cloud_capacity'],
  [/too many requests|throttl|rate limit/i, 'cloud_throttled'],
  [/running job|is running|is stopped|must be stopped/i, 'conflict'],
];

const byStatus: Record<number, ErrorCode> = {
  401: 'cloud_auth',
  403: 'cloud_auth',
  404: 'cloud_not_found',
  409: 'conflict',
  429: 'cloud_throttled',
};

/** The error that an answer stands for; undefined for 200. No secret of ours is repeated from the provider's text. */
export function classifySpeedycloud(response: HttpResponse, now: number, secrets: string[]): PaasError | undefined {
  const { status } = response;
  if (status === 200) return undefined;
  const text = redact(errorText(response), secrets);
  const details: Record<string, unknown> = { status };
  const wait = retryAfterMs(response, now);
  if (wait !== undefined) details['retryAfterMs'] = wait;
  let code = byStatus[status] ?? byText.find(([pattern]) => pattern.test(text))?.[1] ?? 'cloud_failed';
  if (code === 'cloud_auth' && /date|clock|skew/i.test(text)) code = 'cloud_skew';
  if (status === 503 && wait !== undefined) code = 'cloud_throttled';
  return new PaasError(code, text, { details });
}

function errorText(response: HttpResponse): string {
  const fallback = `HTTP ${response.status}`;
  try {
    const parsed = speedyError.safeParse(JSON.parse(response.body));
    return parsed.success ? parsed.data.error.slice(0, 300) : fallback;
  } catch {
    return fallback; // a proxy's page: its text says nothing about the call
  }
}
