/**
 * Jobs of hosts: written down before they are acknowledged, then carried out, then written down as ended. One that the
 * end of the program interrupts stays as it is, and the next start does it again.
 *
 *   queue ──► running ──► success
 *                └──────► fail (the host is in ERROR, unless its power was cut)
 */
import type { CloudLog } from './log.ts';
import type { CloudState, HostRecord, JobName, JobRecord } from './state.ts';

export interface JobRunnerOptions {
  state: CloudState;
  log: CloudLog;
  /** Does the work and changes the host's record. Must be safe to do again. Breaks off when `signal` fires. */
  work(host: HostRecord, job: JobName, signal: AbortSignal, isNew: boolean): Promise<void>;
}

const keptJobs = 20;

export class JobRunner {
  readonly #options: JobRunnerOptions;
  readonly #underWay = new Map<number, { abort: AbortController; ended: Promise<void> }>();
  #closed = false;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  /** Begins a job. Throws when it cannot be written down, and has then changed nothing. */
  begin(host: HostRecord, name: JobName, isNew = false): JobRecord {
    const { state } = this.#options;
    const createdAt = new Date().toISOString();
    const job: JobRecord = {
      id: state.record.nextJob++,
      name,
      status: 'queue',
      createdAt,
      finishedAt: null,
      error: null,
    };
    const before = host.jobs;
    host.jobs = [...before, job].slice(-keptJobs);
    state.commit(() => (host.jobs = before));
    this.run(host, job, isNew);
    return job;
  }

  /** Carries out a job that is written down already. */
  run(host: HostRecord, job: JobRecord, isNew = false): void {
    const abort = new AbortController();
    const ended = this.#carryOut(host, job, abort.signal, isNew).finally(() => this.#underWay.delete(host.id));
    this.#underWay.set(host.id, { abort, ended });
  }

  /** Breaks off what is under way on a host; resolves when it has ended. */
  async abort(id: number): Promise<void> {
    const job = this.#underWay.get(id);
    job?.abort.abort();
    await job?.ended;
  }

  /** Breaks everything off, to be done again by the next start. Resolves when all has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#underWay.keys()].map((id) => this.abort(id)));
  }

  async #carryOut(host: HostRecord, job: JobRecord, signal: AbortSignal, isNew: boolean): Promise<void> {
    const { state, log } = this.#options;
    // The answer to the request goes out first: it does not wait for the job.
    await new Promise((resolve) => setImmediate(resolve));
    job.status = 'running';
    try {
      await this.#options.work(host, job.name, signal, isNew);
      signal.throwIfAborted();
      job.status = 'success';
    } catch (error) {
      if (this.#closed) return;
      const message = error instanceof Error ? error.message : String(error);
      job.status = 'fail';
      job.error = signal.aborted ? 'the power was cut' : message;
      if (!signal.aborted) host.status = 'ERROR';
      log('error', 'a job failed', { host: host.name, job: job.name, error: job.error });
    }
    job.finishedAt = new Date().toISOString();
    state.note();
  }
}

/** The job of a host that has not ended. */
export function unfinished(host: HostRecord): JobRecord | undefined {
  return host.jobs.find((job) => job.status === 'queue' || job.status === 'running');
}
