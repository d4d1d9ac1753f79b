/** The assignment on disk: what shall run here, also while the control plane is away. Generations never go back. */
import { renameSync } from 'node:fs';
import { assignment as assignmentSchema, type Assignment } from '../shared/contracts/agent.ts';
import { PaasError } from '../shared/errors.ts';
import { errorFields, type Log } from './log.ts';
import { readJsonFile, writeDurably } from '../shared/files.ts';

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
