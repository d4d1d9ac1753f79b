import { setTimeout as sleep } from 'node:timers/promises';
import type { AppDetail } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { AppScope, Context } from '../command/context.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags, yesFlag } from '../command/flags.ts';
import { change } from '../deploy/done.ts';
import { Progress } from '../ui/progress.ts';
import { confirm } from '../ui/prompt.ts';

export default appCommand(
  {
    summary: 'remove an app with its releases, config, routes and logs',
    args: { app: { summary: 'its name', required: true } },
    flags: { yes: yesFlag, ...waitFlags },
  },
  async (context, { flags }) => {
    const { ui, client, signal, app } = context;
    const detail = await client.request<AppDetail>({ method: 'GET', path: app.path, signal });
    const what = `${app.project}/${app.environment}/${app.name}`;
    await confirm(ui, `${what} (${detail.instances.desired} instances) will be removed for good.`, {
      yes: flags.yes,
      word: app.name,
      signal,
    });
    await change(context, 'DELETE', '');
    const done = flags['no-wait'] ? 'destroying' : 'destroyed';
    if (!flags['no-wait']) await waitUntilGone(context, app, flags.timeout ?? 120_000);
    ui.show({ app: app.name, project: app.project, environment: app.environment, state: done }, () => {
      ui.line(flags['no-wait'] ? `${what} is being removed.` : `${what} is removed.`);
    });
    return 0;
  },
);

async function waitUntilGone(context: Context, app: AppScope, timeoutMs: number): Promise<void> {
  const progress = new Progress(context.ui);
  const deadline = Date.now() + timeoutMs;
  const hint = `It goes on; \`paas app${app.flags}\` shows whether it is still there.`;
  progress.at(`Stopping ${app.name} and removing it`);
  try {
    for (let waitMs = 50; !(await isGone(context, app, waitMs)); waitMs = Math.min(500, waitMs * 2)) {
      if (Date.now() > deadline)
        throw new PaasError('timeout', `Waited ${timeoutMs / 1000} s for ${app.name} to be removed.`, { hint });
    }
  } catch (cause) {
    if (!context.signal.aborted) throw cause;
    throw new PaasError('interrupted', `Stopped waiting for ${app.name} to be removed.`, { hint, cause });
  } finally {
    progress.stop();
  }
}

async function isGone({ client, signal }: Context, app: AppScope, waitMs: number): Promise<boolean> {
  try {
    await sleep(waitMs, undefined, { signal });
    await client.request({ method: 'GET', path: app.path, signal });
    return false;
  } catch (error) {
    if (error instanceof PaasError && error.code === 'not_found') return true;
    throw error;
  }
}
