/** The server's own log: JSON lines for whoever operates it. Secrets are kept out by never handing them in. */
export interface Logger {
  info(message: string, details?: Record<string, unknown>): void;
  warn(message: string, details?: Record<string, unknown>): void;
  error(message: string, error?: unknown, details?: Record<string, unknown>): void;
}

/** A logger that hands each line to `write`. */
export function createLogger(write: (line: string) => void): Logger {
  const put = (level: string, message: string, details: Record<string, unknown> = {}) =>
    write(JSON.stringify({ ts: new Date().toISOString(), level, message, ...details }) + '\n');
  return {
    info: (message, details) => put('info', message, details),
    warn: (message, details) => put('warn', message, details),
    error: (message, error, details) => put('error', message, { ...describe(error), ...details }),
  };
}

function describe(error: unknown): Record<string, unknown> {
  if (error === undefined) return {};
  if (!(error instanceof Error)) return { error: typeof error === 'string' ? error : JSON.stringify(error) };
  const cause = error.cause === undefined ? {} : { cause: describe(error.cause) };
  return { error: error.message, stack: error.stack, ...cause };
}
