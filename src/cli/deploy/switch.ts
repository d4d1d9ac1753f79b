import type { DeploymentResponse } from '../../shared/contracts/api.ts';
import { appCommand, type Command } from '../command/define.ts';
import { waitFlags } from '../command/flags.ts';
import { change, finish } from './done.ts';

/** `paas stop` and `paas start`. @param words complete "shop …" */
export function switchCommand(
  verb: 'stop' | 'start',
  summary: string,
  words: { done: string; nothing: string },
): Command {
  return appCommand({ summary, flags: waitFlags }, async (context, { flags }) => {
    const { name } = context.app;
    const { deployment } = await change<DeploymentResponse>(context, 'POST', `/${verb}`, {});
    return finish(context, deployment, flags, { done: `${name} ${words.done}.`, nothing: `${name} ${words.nothing}.` });
  });
}
