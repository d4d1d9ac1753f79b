/** From a command line to an exit code: find the command, run it, show its error. */
import { asPaasError, errnoOf, PaasError } from '../shared/errors.ts';
import { Context } from './command/context.ts';
import { findCommand, type Found } from './command/find.ts';
import { parseInvocation } from './command/parse.ts';
import { showError } from './ui/errors.ts';
import { Ui, type Streams } from './ui/ui.ts';

/**
 * @param streams for tests; default: those of the process
 * @returns the exit code (the table in shared/errors.ts; `run` and `exec`: the child's)
 */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv, streams?: Streams): Promise<number> {
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const ui = new Ui({ json: own.includes('--json'), env, ...(streams ? { streams } : {}) });
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  // Once: a second Ctrl-C ends the process on the spot.
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const context = new Context({ ui, env, signal: AbortSignal.any([interrupted.signal, ui.closed]) });
  let found: Found | undefined;
  try {
    // `paas --json apps` and `paas apps --json` are the same.
    const words = own[0] === '--json' ? [...argv.slice(1), '--json'] : argv;
    found = await findCommand(words);
    const code = await runFound(context, found);
    await ui.flush();
    if (ui.failure) throw ui.failure;
    return code;
  } catch (thrown) {
    if (ui.closed.aborted && !ui.failure) return 0;
    const error = fail(ui.failure ?? thrown);
    const streams = found?.command?.streams === true;
    showError(ui, error, { home: context.home, command: `paas ${found?.id ?? ''}`, streams });
    return error.exit;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    context.close();
    await ui.flush();
  }
}

async function runFound(context: Context, found: Found): Promise<number> {
  if (found.command === undefined) {
    const { showIndex } = await import('./ui/help-index.ts');
    await showIndex(context.ui, found.id);
    if (found.asked) return 0;
    throw new PaasError(
      'usage',
      found.id === '' ? 'There is no command.' : `\`paas ${found.id}\` needs one of its commands.`,
      { hint: '' },
    );
  }
  const invocation = await parseInvocation(found.id, found.command, found.argv);
  if (invocation.flags['help'] === true) {
    const { showHelp } = await import('./ui/help.ts');
    await showHelp(context.ui, found.id, found.command);
    return 0;
  }
  return (await found.command.run(context, invocation)) ?? 0;
}

/** Node's own ways to say that somebody pressed Ctrl-C are ours too. */
function fail(thrown: unknown): PaasError {
  const isAbort = thrown instanceof Error && (thrown.name === 'AbortError' || errnoOf(thrown) === 'ABORT_ERR');
  if (isAbort) return new PaasError('interrupted', 'Interrupted.', { hint: '', cause: thrown });
  return asPaasError(thrown);
}
