import type { ObservedInstance } from '../../engines/port.ts';
import { errorTable, fromErrorBody, type PaasError } from '../../shared/errors.ts';
import type { Control } from '../context.ts';

/** The last lines of an instance's or build's output, for an error message. Best effort: none when there are none. */
export async function lastLines(
  control: Control,
  appId: string,
  what: { instance: string; n: number },
): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of control.logs.query({ appId, instance: what.instance, tail: what.n })) {
    for (const entry of batch) if ('line' in entry && entry.source !== 'platform') lines.push(entry.line);
  }
  return lines;
}

/** What kept an instance from starting where that is no fault of the app: a full disk of its host, damaged data. */
export function hostTrouble({ exit }: ObservedInstance): PaasError | undefined {
  if (exit?.failure === undefined) return undefined;
  const error = fromErrorBody({ ...exit.failure, message: exit.message ?? exit.reason });
  return errorTable[error.code].fault === 'app' ? undefined : error;
}
