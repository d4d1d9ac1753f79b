/**
 * The journal of steps: what is under way and which results the control plane has not acknowledged. A step's file is
 * durable before the step starts, so that after a crash it is known to have been started, and its result, where the disk
 * has space for it, before it is sent, so that the same step id never runs twice.
 */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { step as stepSchema, stepResult, type Step, type StepResult } from '../../shared/contracts/steps.ts';
import { PaasError } from '../../shared/errors.ts';
import { readJsonFile, writeDurably } from '../../shared/files.ts';
import { errorFields, type Log } from '../log.ts';

const entry = z.object({ step: stepSchema, result: z.nullable(stepResult) });
type Entry = z.infer<typeof entry>;

export class StepJournal {
  readonly #dir: string;
  readonly #entries = new Map<string, Entry>();

  constructor(dir: string, log: Log) {
    this.#dir = dir;
    for (const name of readdirSync(dir)) {
      if (!name.endsWith('.json')) continue;
      const path = join(dir, name);
      try {
        const found = readJsonFile(path, entry);
        if (found) this.#entries.set(found.step.id, found);
      } catch (error) {
        if (!(error instanceof PaasError && error.code === 'corrupt')) throw error;
        // The control plane will miss the result and send the step again.
        renameSync(path, `${path}.damaged`);
        log.error('a step in the journal is damaged and put aside', errorFields(error));
      }
    }
  }

  get(id: string): StepResult | 'running' | undefined {
    const found = this.#entries.get(id);
    return found && (found.result ?? 'running');
  }
  /** Steps that were started and have no result. */
  running(): Step[] {
    return [...this.#entries.values()].filter(({ result }) => !result).map(({ step }) => step);
  }
  /** Results that were not acknowledged. */
  results(): StepResult[] {
    return [...this.#entries.values()].flatMap(({ result }) => result ?? []);
  }
  /** Throws when the disk has no space: then the step is not known. */
  start(step: Step): void {
    this.#write({ step, result: null });
  }
  /** Throws when the disk has no space: the result is known all the same, until this agent ends. */
  finish(step: Step, result: StepResult): void {
    this.#entries.set(step.id, { step, result });
    this.#write({ step, result });
  }
  /** Forgets a result that the control plane has. A step under way stays. */
  acknowledge(id: string): void {
    if (!this.#entries.get(id)?.result) return;
    this.#entries.delete(id);
    rmSync(this.#path(id), { force: true });
  }

  #write(value: Entry): void {
    writeDurably(this.#path(value.step.id), JSON.stringify(value));
    this.#entries.set(value.step.id, value);
  }
  #path(id: string): string {
    return join(this.#dir, `${id}.json`);
  }
}
