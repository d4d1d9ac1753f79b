/** Which stack a source tree is for. */
import { PaasError } from '../shared/errors.ts';
import type { DetectContext, Detection, Stack } from './port.ts';
import { fileNames } from './support/source.ts';

export interface Detected {
  stack: Stack;
  detection: Detection;
}

/**
 * The stack named by `stack:`, else the first in registry order that is sure, else likely, else a guess.
 * @throws PaasError stack_unknown naming what is known, or what was looked for.
 */
export async function detectStack(stacks: readonly Stack[], context: DetectContext): Promise<Detected> {
  const named = context.app.stack;
  if (named !== undefined) {
    const stack = stacks.find(({ name }) => name === named);
    if (stack === undefined) {
      const known = stacks.map(({ name }) => name).join(', ');
      throw new PaasError('stack_unknown', `There is no stack named '${named}'. Known: ${known}.`, {
        hint: 'Correct `stack:` in paas.yml, or leave it out to have the stack detected.',
      });
    }
    return { stack, detection: { reason: '`stack:` in the manifest', confidence: 'sure' } };
  }
  const found: Detected[] = [];
  for (const stack of stacks) {
    const detection = await stack.detect(context);
    if (detection?.confidence === 'sure') return { stack, detection };
    if (detection !== null) found.push({ stack, detection });
  }
  const best = found.find(({ detection }) => detection.confidence === 'likely') ?? found[0];
  if (best !== undefined) return best;
  throw await nothingFound(stacks, context);
}

async function nothingFound(stacks: readonly Stack[], { view }: DetectContext): Promise<PaasError> {
  const names = await fileNames(view);
  const lookedFor = stacks.map(({ name, looksFor }) => `${name}: ${looksFor}`).join('; ');
  if (names.includes('Dockerfile')) {
    return new PaasError('stack_unknown', 'The source has a Dockerfile, which is not built here, and nothing else.', {
      hint: 'Name the command in a Procfile (`web: …`) or in paas.yml, with `build:` where something must be built.',
      details: { lookedFor },
    });
  }
  if ((await view.list('')).length === 0) {
    return new PaasError('stack_unknown', 'The source is empty.', {
      hint: 'Push from the directory of the app, or name it with `--path`; what ignore files exclude is not sent.',
    });
  }
  return new PaasError('stack_unknown', `No stack recognises the source. Looked for: ${lookedFor}.`, {
    hint: 'Add a Procfile (`web: …`), or name a stack with `stack:` in paas.yml. Is it the right directory?',
    details: { lookedFor },
  });
}
