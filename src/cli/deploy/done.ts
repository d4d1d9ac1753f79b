/** The end of commands that change something and wait for it. */
import type { Deployment } from '../../shared/contracts/api.ts';
import type { AppScope, Context } from '../command/context.ts';
import { settle, type WaitFlags } from './follow.ts';

/**
 * Asks for a change of an app. Ctrl-C takes effect only after the answer, so that it is never unknown whether something
 * was begun.
 * @param path below the app's: `/restart`
 */
export function change<T>(
  { client, app }: Context & { app: AppScope },
  method: 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T> {
  return client.request<T>({ method, path: `${app.path}${path}`, body });
}

/**
 * Waits as the flags say, then prints `said`, or that nothing had to be done.
 * @param more what the JSON has besides the deployment's fields
 */
export async function finish(
  context: Context & { app: AppScope },
  deployment: Deployment | null,
  flags: WaitFlags,
  said: { done: string; nothing: string; more?: Record<string, unknown> },
): Promise<number> {
  const { ui, app } = context;
  const end = deployment && (await settle(context, deployment, flags));
  const { name, project, environment } = app;
  const state = end?.state ?? null;
  const json = {
    app: name,
    project,
    environment,
    changed: end !== null,
    release: end?.release ?? null,
    deployment: end?.id ?? null,
    state,
  };
  ui.show({ ...json, ...said.more }, () => {
    if (end === null) ui.line(said.nothing);
    else if (end.finishedAt === null) ui.line(`It goes on: \`paas rollout status${app.flags}\` shows it.`);
    else ui.line(said.done);
  });
  return 0;
}
