/**
 * The one table of errors: what scripts, people and the wire see. Every failure that leaves a program carries one of
 * these codes. `docs/errors.md` is generated from this table and a test keeps the two equal.
 */

/** Who can mend it: the person typing, the app's code, the cloud behind a driver, or the platform itself. */
export type Fault = 'user' | 'app' | 'provider' | 'platform';

interface Row {
  /** Exit code of the CLI (docs/architecture.md, "Exit codes"). */
  exit: number;
  /** HTTP status when an API handler throws it. */
  http: number;
  fault: Fault;
  /** Whether the same request may succeed later without a change. */
  retryable: boolean;
  meaning: string;
  hint: string;
}

const row = (exit: number, http: number, fault: Fault, retryable: boolean, meaning: string, hint: string): Row => ({
  exit,
  http,
  fault,
  retryable,
  meaning,
  hint,
});

/* prettier-ignore */
export const errorTable = {
  internal: row(1, 500, 'platform', false, 'A bug of the platform.', 'Please report it with the debug log that the message names.'),
  usage: row(2, 400, 'user', false, 'The command line cannot be understood.', 'See `paas COMMAND --help`.'),
  bad_request: row(2, 400, 'user', false, 'A request does not have the shape its schema asks for.', 'Upgrade the older of CLI and server; see /openapi.json.'),
  manifest_invalid: row(3, 422, 'user', false, 'A manifest, Procfile or config value is invalid.', 'Correct the line that the message names.'),
  certificate_invalid: row(3, 422, 'user', false, 'A certificate or its private key cannot be used.', 'Correct what the message names.'),
  source_invalid: row(3, 422, 'user', false, 'The source cannot be packaged.', 'Correct or exclude (.paasignore) the path that the message names.'),
  source_changed: row(3, 409, 'user', true, 'Files changed while they were being read.', 'Push again when nothing writes to the directory.'),
  stack_unknown: row(3, 422, 'user', false, 'No stack recognises the source.', 'Add a Procfile, or name a stack with `stack:` in paas.yml.'),
  not_authenticated: row(4, 401, 'user', false, 'The request is not signed by a key that this platform knows.', 'Run `paas up` on this machine, or `paas login URL`.'),
  not_allowed: row(4, 403, 'user', false, 'The key is known, but may not do this.', 'Ask an owner of the project.'),
  clock_skew: row(4, 401, 'user', true, 'The clocks of the two machines differ too much.', 'Set the clock of this machine (NTP) and try again.'),
  not_found: row(5, 404, 'user', false, 'What was named does not exist.', 'List what there is with the plural command (`paas apps`, `paas releases`, …).'),
  conflict: row(6, 409, 'user', false, 'The change contradicts the present state.', 'Look at the state first; then repeat.'),
  locked: row(6, 423, 'user', true, 'Something else is at work on the same thing.', 'Wait for it, or cancel it: `paas rollout status`.'),
  cloud_failed: row(7, 502, 'provider', true, 'The cloud refused or failed after retries.', 'See `paas events` and `paas clouds test NAME`.'),
  cloud_auth: row(7, 502, 'provider', false, 'The cloud refuses the credentials.', 'Check the keys: `paas clouds test NAME`.'),
  cloud_skew: row(7, 502, 'provider', true, 'The cloud says that the clock is off.', 'Set the clock of the control plane (NTP).'),
  cloud_throttled: row(7, 503, 'provider', true, 'The cloud limits the rate of calls.', 'It is tried again by itself.'),
  cloud_quota: row(7, 502, 'provider', false, 'The quota at the cloud is used up.', 'Raise the quota, or remove hosts.'),
  cloud_capacity: row(7, 502, 'provider', true, 'The cloud has no capacity of this kind now.', 'Choose another size or zone.'),
  cloud_not_found: row(7, 502, 'provider', false, 'The cloud does not know the host.', 'See `paas hosts`.'),
  cloud_ambiguous: row(7, 502, 'provider', true, 'The cloud may or may not have carried out a call.', 'The platform looks it up by its token before it tries again.'),
  certificate_failed: row(7, 502, 'provider', true, 'A certificate authority refused, or did not answer.', 'It is tried again by itself: see `paas certs`.'),
  host_failed: row(7, 502, 'provider', true, 'A host failed.', 'See `paas hosts` and `paas events`.'),
  no_capacity: row(7, 503, 'provider', true, 'The hosts have no room and no more may be created.', 'Raise the ceiling of hosts, scale down, or ask for less memory.'),
  tool_missing: row(8, 422, 'app', false, 'The hosts lack a tool that the build or the app needs.', 'Install the tool on the hosts, or push to a base that has it.'),
  build_failed: row(8, 422, 'app', false, 'The app failed to build.', 'Read the output: `paas logs --source build`.'),
  release_failed: row(8, 422, 'app', false, 'The release command failed; the old release still serves.', 'Read the output: `paas logs --source build`.'),
  unhealthy: row(8, 422, 'app', false, 'The new release did not become healthy; the old one still serves.', 'Read `paas logs`.'),
  canary_failed: row(8, 422, 'app', false, 'A canary answered worse than the release before it, which serves again.', 'Read `paas logs`; `paas push --no-analysis` does not compare.'),
  timeout: row(9, 504, 'platform', true, 'What was waited for did not happen in time.', 'It may still happen: see `paas status`.'),
  outcome_unknown: row(10, 503, 'platform', true, 'The connection broke before the answer; the change may have been made.', 'See `paas status` and `paas events` before repeating.'),
  unavailable: row(10, 503, 'platform', true, 'The platform does not answer.', 'See `paas status`; on this machine, `paas up` starts it again.'),
  disk_full: row(7, 507, 'provider', true, 'A disk of the platform is full.', 'Free space, then repeat. Nothing acknowledged was lost.'),
  corrupt: row(1, 500, 'platform', false, 'Stored data does not match its checksum.', 'The message names the file. Restore it from a backup; nothing was deleted.'),
  too_large: row(3, 413, 'user', false, 'An input exceeds a limit.', 'The message names the limit.'),
  unsupported: row(2, 501, 'user', false, 'This platform or host cannot do that.', 'The message names what is missing.'),
  interrupted: row(130, 499, 'user', true, 'Interrupted by the user.', 'What was under way goes on; the message says how to see or cancel it.'),
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorOptions {
  hint?: string;
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** What an error looks like on the wire and under `--json`. Never carries a secret. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  hint: string;
  details: Record<string, unknown>;
}

/** A failure with a code of the table. `message` says what happened, `hint` what to do; `cause` keeps the origin. */
export class PaasError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PaasError';
    this.code = code;
    this.hint = options.hint ?? errorTable[code].hint;
    this.details = options.details ?? {};
  }

  get exit(): number {
    return errorTable[this.code].exit;
  }
  get http(): number {
    return errorTable[this.code].http;
  }
  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  toJSON(): ErrorBody {
    return { code: this.code, message: this.message, hint: this.hint, details: this.details };
  }
}

/** As the file system, SQLite and PostgreSQL say it. */
const diskFull = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL', '53100']);

/** Any thrown value as a PaasError; what has no code becomes `internal` with the value as its cause. */
export function asPaasError(thrown: unknown): PaasError {
  if (thrown instanceof PaasError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (diskFull.has(errnoOf(thrown) ?? '')) return new PaasError('disk_full', message, { cause: thrown });
  return new PaasError('internal', message, { cause: thrown });
}

/** An error as it came over the wire; an unknown code (a newer server) becomes `internal` and keeps its text. */
export function fromErrorBody(body: {
  code: string;
  message: string;
  hint?: string | undefined;
  details?: Record<string, unknown> | undefined;
}): PaasError {
  const known = Object.hasOwn(errorTable, body.code);
  return new PaasError(known ? (body.code as ErrorCode) : 'internal', body.message, {
    ...(body.hint === undefined ? {} : { hint: body.hint }),
    details: known ? (body.details ?? {}) : { ...body.details, code: body.code },
  });
}

/** The errno code (`ENOENT`, …) of a system error, if it is one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return undefined;
}
