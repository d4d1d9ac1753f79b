import { setTimeout as sleep } from 'node:timers/promises';
import type { AppDetail } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { AppScope, Context } from '../command/context.ts';
import { appCommand } from '../command/define.ts';
import { waitFlags, yesFlag } from '../command/flags.ts';
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
    await client.request({ method: 'DELETE', path: app.path, signal });
    const done = flags['no-wait'] ? 'destroying' : 'destroyed';
    if (!flags['no-wait']) await waitUntilGone(context, app, flags.timeout ?? 120_000);
    ui.show({ app: app.name, project: app.project, environment: app.environment, state: done }, () => {
      ui.line(flags['no-wait'] ? `${what} is being removed.` : `${what} is removed.`);
    });
    return 0;
  },
);

async function waitUntilGone({ ui, client, signal }: Context, app: AppScope, timeoutMs: number): Promise<void> {
  const progress = new Progress(ui);
  const deadline = Date.now() + timeoutMs;
  progress.at(`Stopping ${app.name} and removing it`);
  try {
    for (let waitMs = 50; ; waitMs = Math.min(500, waitMs * 2)) {
      try {
        await client.request({ method: 'GET', path: app.path, signal });
      } catch (error) {
        if (error instanceof PaasError && error.code === 'not_found') return;
        throw error;
      }
      const hint = `It goes on; \`paas app${app.flags}\` shows whether it is still there.`;
      if (Date.now() > deadline)
        throw new PaasError('timeout', `Waited ${timeoutMs / 1000} s for ${app.name} to be removed.`, { hint });
      await sleep(waitMs, undefined, { signal });
    }
  } finally {
    progress.stop();
  }
}
