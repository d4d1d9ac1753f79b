/** Questions. They are asked on a terminal only; elsewhere the command fails and names the flag to give. */
import { PaasError } from '../../shared/errors.ts';
import type { Ui } from './ui.ts';

/**
 * Asks before something is destroyed.
 * @param word to be typed; without it, a yes is enough
 * @throws PaasError usage where nobody can be asked, interrupted when the answer is no
 */
export async function confirm(
  ui: Ui,
  question: string,
  options: { yes: boolean; word?: string; signal: AbortSignal },
): Promise<void> {
  if (options.yes) return;
  if (!ui.canAsk)
    throw new PaasError('usage', `${question} Nobody can be asked here.`, { hint: 'Confirm it with `--yes`.' });
  const { word, signal } = options;
  const answer = await ask(
    ui,
    word === undefined ? `${question} [y/N]` : `${question} Type ${word} to confirm:`,
    signal,
  );
  const agreed = word === undefined ? /^y(es)?$/i.test(answer.trim()) : answer.trim() === word;
  if (!agreed) throw new PaasError('interrupted', 'Nothing was changed.', { hint: '' });
}

/** A secret, typed without being shown. @throws PaasError usage where nobody can be asked (`flag` says how to give it) */
export async function askSecret(ui: Ui, question: string, flag: string, signal: AbortSignal): Promise<string> {
  if (!ui.canAsk) throw new PaasError('usage', `${question}: nobody can be asked here.`, { hint: flag });
  const { password } = await import('@inquirer/prompts');
  return interruptible(() => password({ message: question, mask: true }, { output: ui.streams.stderr, signal }));
}

/** A text. @throws PaasError usage where nobody can be asked */
export async function askText(ui: Ui, question: string, flag: string, signal: AbortSignal): Promise<string> {
  if (!ui.canAsk) throw new PaasError('usage', `${question}: nobody can be asked here.`, { hint: flag });
  return ask(ui, question, signal);
}

async function ask(ui: Ui, question: string, signal: AbortSignal): Promise<string> {
  const { input } = await import('@inquirer/prompts');
  return interruptible(() => input({ message: question }, { output: ui.streams.stderr, signal }));
}

async function interruptible<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(cause.name)) {
      throw new PaasError('interrupted', 'Nothing was changed.', { hint: '', cause });
    }
    throw cause;
  }
}
