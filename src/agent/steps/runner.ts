/**
 * Steps from the control plane: started once, however often they are sent; cancelled on request; their results kept
 * until they are acknowledged. One driver a kind of step.
 *
 *   step ──► journaled ──► running ──► result journaled ──► sent (again in every hello) ──► stepAck: forgotten
 *                              └ agent dies: host_failed after its restart, which may be tried again
 */
import type { Step, StepResult, StepYield } from '../../shared/contracts/steps.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { errorFields, type Log } from '../log.ts';
import type { StepJournal } from './journal.ts';

export interface StepDriver<S extends Step = Step> {
  /** Does the work. Throws a PaasError that says why it failed; `interrupted` when `signal` was aborted. */
  run(step: S, signal: AbortSignal): Promise<StepYield>;
  /** Ends what an earlier agent left running of this step, and removes its traces. */
  clear(step: S): Promise<void>;
}

export type StepDrivers = { [K in Step['kind']]: StepDriver<Extract<Step, { kind: K }>> };

export interface StepRunner {
  /** Ends the steps that were under way when the last agent ended, and gives them a result. Call once, first. */
  recover(): Promise<void>;
  submit(step: Step): void;
  cancel(id: string): void;
  acknowledge(id: string): void;
  results(): StepResult[];
  running(): string[];
  /** The agent goes: what is under way is ended; the next agent reports it as failed with the host. */
  close(): Promise<void>;
}

const idForm = /^[A-Za-z0-9_-]{1,64}$/;

export function createStepRunner(options: {
  drivers: StepDrivers;
  journal: StepJournal;
  log: Log;
  hostName: string;
  onResult(result: StepResult): void;
}): StepRunner {
  const { drivers, journal, log } = options;
  // TypeScript does not see that a step and the driver of its kind belong together.
  const driverOf = (step: Step) => drivers[step.kind] as StepDriver;
  const running = new Map<string, { step: Step; abort: AbortController }>();
  let closed = false;

  const finish = (step: Step, startedAt: number, outcome: StepYield | PaasError) => {
    if (closed) return;
    const failed = outcome instanceof PaasError;
    const result = resultOf(step, startedAt, outcome);
    try {
      journal.finish(step, result);
    } catch (error) {
      // It counts all the same: the control plane takes the first result of a step.
      log.error('the result of a step cannot be stored', { step: step.id, ...errorFields(error) });
    }
    log.info(failed ? 'step failed' : 'step done', { step: step.id, ...(failed ? errorFields(outcome) : {}) });
    options.onResult(result);
  };

  const run = async (step: Step, signal: AbortSignal) => {
    const startedAt = Date.now();
    try {
      finish(step, startedAt, await driverOf(step).run(step, signal));
    } catch (thrown) {
      const error = asPaasError(thrown);
      if (error.code === 'internal') log.error('a step failed unexpectedly', { step: step.id, ...errorFields(thrown) });
      finish(step, startedAt, signal.aborted ? new PaasError('interrupted', 'the step was cancelled') : error);
    }
  };

  /** Traces that remain (a failing disk) are no reason to be without an agent. */
  const clear = async (step: Step) => {
    try {
      await driverOf(step).clear(step);
    } catch (error) {
      log.error('traces of a step remain', { step: step.id, ...errorFields(error) });
    }
  };

  return {
    async recover() {
      for (const step of journal.running()) {
        await clear(step);
        const message = `the agent on host ${options.hostName} ended in the middle of the step`;
        finish(step, Date.now(), new PaasError('host_failed', message, { hint: 'It is tried again.' }));
      }
    },
    submit(step) {
      if (!idForm.test(step.id)) throw new PaasError('bad_request', `a step has the id ${JSON.stringify(step.id)}`);
      const known = journal.get(step.id);
      if (known === 'running') return;
      if (known) {
        options.onResult(known);
        return;
      }
      try {
        journal.start(step);
      } catch (cause) {
        log.error('a step cannot be noted and is not started', { step: step.id, ...errorFields(cause) });
        const { code, message } = asPaasError(cause);
        const error = new PaasError(code, `host ${options.hostName} cannot take up the step: ${message}`, { cause });
        options.onResult(resultOf(step, Date.now(), error));
        return;
      }
      const abort = new AbortController();
      log.info('step started', { step: step.id, kind: step.kind });
      running.set(step.id, { step, abort });
      void run(step, abort.signal)
        .catch((error: unknown) => log.error('cannot record a step', { step: step.id, ...errorFields(error) }))
        .finally(() => running.delete(step.id));
    },
    cancel: (id) => running.get(id)?.abort.abort(),
    acknowledge: (id) => journal.acknowledge(id),
    results: () => journal.results(),
    running: () => [...running.keys()],
    async close() {
      closed = true;
      await Promise.all([...running.values()].map(({ step }) => clear(step)));
    },
  };
}

function resultOf(step: Step, startedAt: number, outcome: StepYield | PaasError): StepResult {
  const failed = outcome instanceof PaasError;
  const error = failed ? { error: { code: outcome.code, message: outcome.message, hint: outcome.hint } } : outcome;
  return { id: step.id, ok: !failed, ...error, durationMs: Date.now() - startedAt };
}
