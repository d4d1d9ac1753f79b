/**
 * Searching lines with an expression that a user gave. An expression can take time exponential in a line's length, and
 * no check of its text finds all that do. So only expressions without repetition run here; all others run in a thread
 * that is ended when it takes too long. (A thread costs some 30 ms and 10 MB, so there are only so many at a time.)
 */
import { Worker } from 'node:worker_threads';
import { PaasError } from '../../shared/errors.ts';
import type { LogQuery } from './port.ts';

export interface Matcher {
  /** Which of the lines match. Throws `bad_request` when the expression takes too long. */
  match(lines: string[]): boolean[] | Promise<boolean[]>;
  /** Ends the thread, if there is one. */
  close(): Promise<void>;
}

const maxLength = 1000;
const maxThreads = 4;
const timeoutMs = 3000;
/** One that the process has not computed for so long by then did not take too long: the machine stood still. */
const computeMs = 1500;
const longestMs = 30_000;

let threads = 0;

/**
 * What decides over the lines of an answer; null where all belong to it.
 * Throws `bad_request` for what is no expression, and `unavailable` when too many searches are under way.
 */
export function matcherOf({ grep, fields = [] }: Pick<LogQuery, 'grep' | 'fields'>): Matcher | null {
  const given = grep === undefined ? null : createMatcher(grep);
  if (fields.length === 0) return given;
  const has = (line: string): boolean => fields.every((field) => field.test(line));
  return {
    match: async (lines) => {
      const hits = await given?.match(lines);
      return lines.map((line, i) => hits?.[i] !== false && has(line));
    },
    close: async () => {
      await given?.close();
    },
  };
}

function createMatcher(pattern: string): Matcher {
  const expression = compile(pattern);
  if (!/[*+?{]/.test(pattern.replace(/^\(\?i\)/, ''))) {
    return { match: (lines) => lines.map((line) => expression.test(line)), close: () => Promise.resolve() };
  }
  if (threads >= maxThreads) {
    throw new PaasError('unavailable', `${maxThreads} searches with repetition in their expression are under way`, {
      hint: 'Wait for one to end, or search for plain text.',
    });
  }
  return threaded(expression);
}

function compile(pattern: string): RegExp {
  if (pattern.length > maxLength) {
    throw new PaasError('bad_request', `the expression is longer than ${maxLength} characters`, {
      hint: 'Search for less.',
    });
  }
  const ignoreCase = pattern.startsWith('(?i)');
  const source = ignoreCase ? pattern.slice(4) : pattern;
  const flags = ignoreCase ? 'i' : '';
  try {
    return new RegExp(source, `${flags}u`);
  } catch {
    // Without Unicode rules more escapes are allowed, such as `\-`.
  }
  try {
    return new RegExp(source, flags);
  } catch (error) {
    throw new PaasError('bad_request', `"${pattern}" is not a regular expression: ${(error as Error).message}`, {
      hint: String.raw`Put a backslash before characters that stand for themselves: \. \[ \( \* \?`,
      cause: error,
    });
  }
}

const program = `
  const { parentPort, workerData } = require('node:worker_threads');
  const expression = new RegExp(workerData.source, workerData.flags);
  parentPort.on('message', (lines) => parentPort.postMessage(lines.map((line) => expression.test(line))));
`;

function threaded(expression: RegExp): Matcher {
  threads += 1;
  const worker = new Worker(program, {
    eval: true,
    workerData: { source: expression.source, flags: expression.flags },
    resourceLimits: { maxOldGenerationSizeMb: 64 },
    execArgv: [],
  });
  worker.once('exit', () => (threads -= 1));
  worker.unref();
  return {
    match: (lines) => ask(worker, lines, expression),
    close: async () => {
      await worker.terminate();
    },
  };
}

function ask(worker: Worker, lines: string[], expression: RegExp): Promise<boolean[]> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      worker.removeAllListeners('message').removeListener('error', failed).removeListener('exit', ended);
      act();
    };
    const failed = (error: unknown): void => {
      settle(() => reject(new PaasError('internal', 'searching the log failed', { cause: error })));
    };
    const ended = (): void => {
      settle(() => reject(new PaasError('interrupted', 'the search was ended')));
    };
    const begun = { tick: performance.now(), cpu: process.cpuUsage() };
    const look = (): void => {
      const { user, system } = process.cpuUsage(begun.cpu);
      const left = computeMs - (user + system) / 1000;
      if (left > 0 && performance.now() - begun.tick < longestMs) {
        timer = setTimeout(look, Math.max(left, 50));
        return;
      }
      settle(() => {
        void worker.terminate();
        const message = `searching for "${expression.source}" takes too long (over ${timeoutMs / 1000} s for ${lines.length} lines)`;
        const hint = 'Use an expression without repetition inside repetition, or plain text.';
        reject(new PaasError('bad_request', message, { hint }));
      });
    };
    let timer = setTimeout(look, timeoutMs);
    worker.once('message', (hits: boolean[]) => {
      settle(() => resolve(hits));
    });
    worker.once('error', failed);
    worker.once('exit', ended);
    worker.postMessage(lines);
  });
}
