/** `paas config set` and `unset`. */
import type { Deployment } from '../../shared/contracts/api.ts';
import type { AppScope, Context } from '../command/context.ts';
import { flag, waitFlags } from '../command/flags.ts';
import { change, finish } from './done.ts';
import type { WaitFlags } from './follow.ts';

export const configFlags = {
  'no-restart': flag.boolean({ summary: 'do not release now; the next release takes it up' }),
  ...waitFlags,
};

interface Changed {
  version: number;
  changed: string[];
  deployment: Deployment | null;
}

/** Changes config and waits for the rollout that follows. Values are never printed. */
export async function changeConfig(
  context: Context & { app: AppScope },
  wish: { set?: Record<string, string>; unset?: string[] },
  flags: WaitFlags & { 'no-restart': boolean },
): Promise<number> {
  const { app, ui } = context;
  const body = { ...wish, restart: !flags['no-restart'] };
  const answer = await change<Changed>(context, 'PATCH', '/config', body);
  const { changed, deployment, version } = answer;
  const names = changed.join(', ');
  if (deployment === null && changed.length > 0) {
    const { name, project, environment } = app;
    ui.show(
      {
        app: name,
        project,
        environment,
        changed: true,
        release: null,
        deployment: null,
        state: null,
        version,
        keys: changed,
      },
      () => {
        ui.line(`Changed ${names}; the next release takes it up.`);
      },
    );
    return 0;
  }
  const release = deployment?.release == null ? '' : `: ${app.name} runs v${deployment.release}`;
  return finish(context, deployment, flags, {
    done: `Changed ${names}${release}.`,
    nothing: 'Nothing changed.',
    more: { version, keys: changed },
  });
}
