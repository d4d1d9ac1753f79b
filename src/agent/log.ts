/** The agent's own log: one JSON object a line. Fields never carry environment values, keys or tokens. */
import { errnoOf, PaasError } from '../shared/errors.ts';

export type LogFields = Record<string, unknown>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A log that hands each line (with its newline) to `write`. */
export function createLog(write: (line: string) => void): Log {
  const at = (level: string) => (message: string, fields?: LogFields) =>
    write(`${JSON.stringify({ ts: new Date().toISOString(), level, message, ...fields })}\n`);
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

/** What to log of a thrown value: text and code, the cause's text, and a stack only where it tells of a bug. */
export function errorFields(thrown: unknown): LogFields {
  if (!(thrown instanceof Error)) return { error: String(thrown) };
  const cause = thrown.cause instanceof Error ? { cause: thrown.cause.message } : {};
  if (thrown instanceof PaasError) return { error: thrown.message, code: thrown.code, ...cause };
  const code = errnoOf(thrown);
  return { error: thrown.message, ...(code === undefined ? { stack: thrown.stack } : { code }), ...cause };
}
