/**
 * One instance: a loop that compares what is wanted with what runs and takes the next step.
 *
 *   pending ──► starting ──► healthy ◄──► unhealthy
 *      ▲            │            │            │
 *      │            ▼            ▼            ▼
 *      └─ back-off ─ crashed ◄── end ──► stopped (not wanted, or ended by itself with `restart: never`)
 *
 * Its record is written before every step that a following agent must know of.
 */
import path from 'node:path';
import type { InstanceSpec, InstanceStatus } from '../../shared/contracts/instances.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { bootId, type ProcessEntry } from '../../shared/processes.ts';
import type { LimitGroup } from '../limits/port.ts';
import { errorFields } from '../log.ts';
import { isPortFree } from '../ports.ts';
import type { Runtime, RuntimeCommand } from '../runtimes/port.ts';
import { driverOf } from '../runtimes/registry.ts';
import { unlessAborted } from '../signals.ts';
import { targetOf, watchRun } from './attention.ts';
import { longestMs } from './backoff.ts';
import type { InstanceContext } from './context.ts';
import { afterEnd, afterFailedStart, afterHostRestart, exitOf, startKey, type Cause } from './ends.ts';
import type { HealthState } from './health.ts';
import { newRecord, StoredRecord, type InstanceRecord } from './record.ts';
import { Run, type RunResult } from './run.ts';
import { fetchParts, fillApp, followLogs, portFor, removeApp, runtimeSpec, startApp } from './start.ts';
import { measured, statusOf } from './status.ts';

/** Failed starts in a row after which a process that shall run only once is given up. */
const onceAttempts = 5;
/** Pause after a failure of the platform itself (a full disk), ms. */
const troubleMs = 5000;
/** Crashes in a row after which the app's files are made anew, since its own changes to them may be the cause. */
const refillAfter = 3;

export class Instance {
  readonly id: string;
  readonly #context: InstanceContext;
  readonly #directory: string;
  readonly #closing = new AbortController();
  readonly #stored: StoredRecord;
  #run: Run | null = null;
  #health: HealthState = { state: 'starting', message: null };
  #stopping = false;
  #usage = { cpuSeconds: 0, memoryMb: 0, cpu: 0 };
  #interrupt = new AbortController();
  #overLimit = false;
  #loop: Promise<void> | null = null;

  constructor(context: InstanceContext, id: string, known: InstanceSpec | InstanceRecord) {
    this.id = id;
    this.#context = context;
    this.#directory = path.join(context.directory, id);
    this.#stored = new StoredRecord(this.#directory, 'spec' in known ? known : newRecord(known), (error) =>
      context.log.error('a record could not be written', { instance: id, ...errorFields(error) }),
    );
  }

  get record(): Readonly<InstanceRecord> {
    return this.#stored.value;
  }

  /** Nothing runs and nothing shall: only its logs may still be on their way. */
  get retired(): boolean {
    return !this.record.wanted && !this.record.running && this.#loop === null;
  }

  /** Begins to work; with the record of an earlier agent it takes up what runs. */
  begin(): void {
    const { running, bootId: boot, spec } = this.record;
    followLogs(this.#directory, spec, this.#context);
    if (running && boot !== bootId()) this.#save(afterHostRestart(this.record, this.#context.clock.now()));
    else if (running) this.#attach(true);
    else this.#save({});
    this.#go();
  }

  /** Takes a spec; null: it shall stop and go. */
  want(spec: InstanceSpec | null): void {
    const before = this.record;
    if (spec === null) {
      if (!before.wanted) return;
      this.#save({ wanted: false });
    } else {
      if (before.wanted && JSON.stringify(before.spec) === JSON.stringify(spec)) return;
      const restart = startKey(before.spec) !== startKey(spec);
      // Another spec is another chance: neither an earlier end nor a back-off holds it up.
      this.#save({ spec, wanted: true, ...(restart ? { done: false, crashes: 0, nextStartAt: 0 } : {}) });
    }
    this.#interrupt.abort();
    this.#go();
  }

  /** Stops watching; what runs goes on. */
  close(): Promise<void> {
    this.#closing.abort();
    this.#interrupt.abort();
    return this.#loop ?? Promise.resolve();
  }

  /** Writes the record if that failed before. */
  keep(): void {
    this.#stored.store();
  }

  status(): InstanceStatus {
    const shown = { ...this.#usage, health: this.#health, stopping: this.#stopping };
    return statusOf(this.id, this.record, shown, this.#context.address);
  }

  /** Its processes; none while it does not run. */
  members(table?: ProcessEntry[]): ProcessEntry[] {
    return this.#run?.members(table) ?? [];
  }

  /** Measures usage; `seconds` since the last time. */
  sample(members: () => ProcessEntry[], seconds: number): { memoryMb: number } {
    const now = this.#run?.group.usage(members) ?? { cpuSeconds: 0, memoryMb: 0 };
    this.#usage = measured(this.#usage, now, seconds);
    return this.#usage;
  }

  /** Ends the present run because of its memory: for hosts whose kernel does not. */
  exceeded(): void {
    this.#overLimit = true;
    this.#interrupt.abort();
  }

  /** A command inside the running instance. */
  async exec(argv: readonly string[]): Promise<RuntimeCommand> {
    const [run, app] = [this.#run, this.#run?.app ?? null];
    if (run === null || app === null) {
      throw new PaasError('conflict', `instance ${this.record.spec.name} does not run at the moment`);
    }
    const spec = await runtimeSpec(this.#directory, this.record, this.#context, run.group.visible);
    return driverOf(this.record.runtime).exec(spec, argv, run.members(), app);
  }

  #go(): void {
    if (this.#loop !== null || this.#closing.signal.aborted) return;
    this.#loop = this.#live().finally(() => {
      this.#loop = null;
      this.#context.changed(this.id);
    });
  }

  async #live(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      if (this.#interrupt.signal.aborted) this.#interrupt = new AbortController();
      try {
        if ((await this.#step()) === 'settled') return;
      } catch (error) {
        this.#context.log.error('a step failed and will be tried again', { instance: this.id, ...errorFields(error) });
        await this.#context.clock.sleep(troubleMs, this.#closing.signal);
      }
    }
  }

  /** Takes the next step towards what is wanted. */
  async #step(): Promise<'settled' | 'on'> {
    const { clock, logs } = this.#context;
    const { wanted, done, nextStartAt } = this.record;
    const wait = nextStartAt - clock.now();
    if (this.#run !== null) await this.#attend(this.#run);
    else if (!wanted) await this.#retire();
    else if (done) logs.end(this.id);
    else if (wait > 0 && wait <= longestMs) await clock.sleep(wait, this.#interrupt.signal);
    else await this.#launch();
    return this.#run === null && (!wanted || done) && !this.#interrupt.signal.aborted ? 'settled' : 'on';
  }

  /** What comes over the network is waited for before the turn: a slow download holds up nobody else. */
  async #launch(): Promise<void> {
    const { clock, log } = this.#context;
    const { spec } = this.record;
    const fill = this.record.tree !== spec.image.tree || this.record.crashes > refillAfter;
    try {
      const runtime = this.#context.runtimes.choose(spec.runtime);
      await unlessAborted(fetchParts(spec, fill, this.#context), this.#interrupt.signal);
      // What was asked for may have changed meanwhile: the loop looks again.
      await this.#context.inTurn(async () => this.#interrupt.signal.aborted || this.#start(spec, runtime, fill));
    } catch (thrown) {
      log.error('instance could not be started', { instance: this.id, ...errorFields(thrown) });
      const error = asPaasError(thrown);
      const final = spec.restart === 'never' && (!error.retryable || this.record.crashes >= onceAttempts);
      this.#save(afterFailedStart(this.record, error, final, clock.now()));
    }
  }

  async #start(spec: InstanceSpec, runtime: Runtime, fill: boolean): Promise<void> {
    const { clock, log, directory: scripts } = this.#context;
    if (fill) {
      this.#save({ tree: null });
      await fillApp(this.#directory, spec, this.#context.trees);
      this.#save({ tree: spec.image.tree });
    }
    const port = await portFor(this.record, this.#context);
    if (this.#interrupt.signal.aborted) return;
    const group = this.#group();
    const startedAt = new Date(clock.now()).toISOString();
    const start = { startedAt, bootId: bootId(), runtime: runtime.kind, oomKills: group.oomKills() };
    this.#save({ ...start, running: true, healthy: false, port, startKey: startKey(spec) });
    if (!this.#stored.stored) throw new PaasError('disk_full', 'no space for the record of a start');
    const inside = await runtimeSpec(this.#directory, this.record, this.#context, group.visible);
    await startApp(inside, spec.command, { runtime, group, scripts });
    this.#attach();
    log.info('instance started', { instance: this.id, name: spec.name, app: spec.app.name, port });
  }

  #group(): LimitGroup {
    const { memoryMb, cpu } = this.record.spec;
    return this.#context.limits.open(this.id, { memoryMb, cpu: cpu ?? null });
  }

  #attach(inherited = false): void {
    const { bootId: boot, runtime, healthy, spec } = this.record;
    this.#run = new Run({
      instance: this.id,
      directory: this.#directory,
      bootId: boot,
      group: this.#group(),
      clock: this.#context.clock,
      runtime: driverOf(runtime),
      abandoned: this.#closing.signal,
      inherited,
    });
    this.#overLimit = false;
    this.#health = { state: healthy ? 'healthy' : 'starting', message: null };
    followLogs(this.#directory, spec, this.#context);
    this.#context.changed(this.id);
  }

  /** Watches a run until something is to be done, and does it. */
  async #attend(run: Run): Promise<void> {
    const { address, clock } = this.#context;
    const watched = (): ReturnType<typeof watchRun> =>
      watchRun(run, targetOf(this.record, address, run), clock, this.#interrupt.signal, (state) => this.#report(state));
    const { end, failure } = this.#due() ? { end: null, failure: null } : await watched();
    if (this.#closing.signal.aborted) return;
    const { spec, wanted } = this.record;
    if (end !== null) return this.#finish(await run.clear(), { kind: run.unseen ? 'unseen' : 'itself' });
    if (this.#overLimit) return this.#finish(await run.stop(0), { kind: 'oom' });
    if (this.#due()) {
      const result = await this.#stop(run, spec.graceMs);
      return this.#finish(result, { kind: wanted ? 'restart' : 'stop', killed: result?.killed ?? false });
    }
    if (failure) await this.#finish(await this.#stop(run, spec.graceMs), failure);
  }

  /** Whether the present run has to end: it is not wanted, or not as it is. */
  #due(): boolean {
    const { wanted, spec, startKey: started } = this.record;
    return !wanted || this.#overLimit || startKey(spec) !== started;
  }

  #report(state: HealthState): void {
    this.#health = state;
    if (state.state === 'healthy' && !this.record.healthy) this.#save({ healthy: true });
    this.#context.changed(this.id);
  }

  async #stop(run: Run, graceMs: number): Promise<RunResult | null> {
    this.#stopping = true;
    this.#context.changed(this.id);
    return run.stop(graceMs).finally(() => (this.#stopping = false));
  }

  async #finish(result: RunResult | null, cause: Cause): Promise<void> {
    if (result === null) return; // abandoned: the next agent goes on
    const { clock, log } = this.#context;
    const { spec, port, healthy, oomKills } = this.record;
    this.#run = null;
    let why = cause;
    if (cause.kind === 'itself' && port !== null && !healthy && !(await isPortFree(port))) {
      why = { kind: 'foreign-port', message: `port ${port} was taken by another process` };
    }
    const exit = exitOf(result, why, spec, result.oomKills > oomKills, clock.now());
    log.info('instance ended', { instance: this.id, name: spec.name, app: spec.app.name, exit });
    this.#save(afterEnd(this.record, why, exit, clock.now()));
  }

  async #retire(): Promise<void> {
    await removeApp(this.#directory);
    this.#group().remove();
    this.#save({ tree: null, port: null });
    this.#context.logs.end(this.id);
  }

  #save(change: Partial<InstanceRecord>): void {
    const { port } = this.record;
    this.#stored.change(change);
    if (port !== null && this.record.port !== port) this.#context.releasePort(port);
    this.#context.changed(this.id);
  }
}
