/** The assignment on disk: what shall run here, also while the control plane is away. Generations never go back. */
import { renameSync } from 'node:fs';
import { assignment as assignmentSchema, type Assignment } from '../shared/contracts/agent.ts';
import { PaasError } from '../shared/errors.ts';
import { errorFields, type Log } from './log.ts';
import { readJsonFile, writeDurably } from '../shared/files.ts';
import type { Supervisor } from './supervisor/index.ts';

/** How soon an assignment that could not be stored is tried again, ms. */
const againMs = 1000;

export interface AssignmentStore {
  /** The assignment in force; generation 0 with nothing in it before the first. */
  current(): Assignment;
  /** Stores a newer one durably. False, and nothing changes, when it is not newer than the one in force. */
  take(next: Assignment): boolean;
}

/**
 * Opens the stored assignment. A damaged file is put aside under another name and logged: the control plane sends the
 * assignment again, and until then the supervisor's records say what runs (`damaged` is true: stop nothing).
 */
export function openAssignment(path: string, log: Log): AssignmentStore & { readonly damaged: boolean } {
  let current: Assignment = { generation: 0, instances: [], keepTrees: [] };
  let damaged = false;
  try {
    current = readJsonFile(path, assignmentSchema) ?? current;
  } catch (error) {
    if (!(error instanceof PaasError && error.code === 'corrupt')) throw error;
    damaged = true;
    renameSync(path, `${path}.damaged`);
    log.error('the stored assignment is damaged; waiting for the control plane to send it again', errorFields(error));
  }
  return {
    damaged,
    current: () => current,
    take(next) {
      if (next.generation <= current.generation) return false;
      writeDurably(path, JSON.stringify(next));
      current = next;
      return true;
    },
  };
}

export interface Assigner {
  /** Carries out an assignment, unless it is older than what is known. */
  take(next: Assignment): void;
  close(): void;
}

/**
 * Carries out assignments. Durable first: what runs must never be ahead of what the next agent will find. What the disk
 * has no space for is tried again until it has; meanwhile what is not wanted any more ends, which may be what fills it.
 */
export function createAssigner(options: {
  stored: AssignmentStore;
  supervisor: Pick<Supervisor, 'apply' | 'retain'>;
  /** Another assignment is in force. */
  changed(): void;
  log: Log;
}): Assigner {
  const { stored, supervisor, log } = options;
  let waiting: Assignment | undefined;
  let timer: NodeJS.Timeout | undefined;

  const carryOut = (next: Assignment): void => {
    try {
      stored.take(next);
    } catch (error) {
      if (waiting !== next) log.error('the assignment cannot be stored and is tried again', errorFields(error));
      waiting = next;
      timer = setTimeout(() => carryOut(next), againMs).unref();
      supervisor.retain(new Set(next.instances.map(({ id }) => id)));
      return;
    }
    waiting = undefined;
    supervisor.apply(next.instances);
    options.changed();
  };

  return {
    take(next) {
      const { generation } = waiting ?? stored.current();
      if (next.generation < generation) {
        log.warn('ignoring an assignment older than the one in force', { generation: next.generation });
      }
      if (next.generation <= generation) return;
      clearTimeout(timer);
      carryOut(next);
    },
    close: () => clearTimeout(timer),
  };
}
