/** `paas rollout`: who is where, since when, and what is waited for; once, or until the rollout ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceRow, RolloutView } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { AppScope, Context } from '../command/context.ts';
import { flag } from '../command/flags.ts';
import { paintState } from '../ui/states.ts';
import { ago } from '../ui/times.ts';
import { showRollout } from './rollout.ts';

type AppContext = Context & { app: AppScope };

export const watchFlags = {
  watch: flag.boolean({ char: 'w', summary: 'show it anew until it ends; the exit code is that of the push' }),
};

const lookEveryMs = 500;
const over = new Set(['succeeded', 'failed', 'cancelled', 'superseded']);
const waits: Record<string, string> = {
  pending: 'its host',
  starting: 'its health check',
  unhealthy: 'its health check',
  draining: 'routers and open requests',
  crashed: 'its next start',
};

/**
 * @param watch goes on until the rollout ends: with `--json` one document at the end
 * @throws PaasError as a push that waits: unhealthy where it failed, conflict where somebody ended it, interrupted
 */
export async function watchRollout(context: AppContext, watch: boolean): Promise<number> {
  const { client, signal, app, ui } = context;
  const get = <T>(path: string): Promise<T> => client.request<T>({ method: 'GET', path: `${app.path}${path}`, signal });
  let shown = '';
  for (;;) {
    const [{ rollout }, instances] = await Promise.all([
      get<{ rollout: RolloutView | null }>('/rollout'),
      get<InstanceRow[]>('/instances'),
    ]);
    const ended = rollout === null || over.has(rollout.state);
    const facts = JSON.stringify([rollout, instances.map(({ id, state, ready }) => [id, state, ready])]);
    if (!watch || ended || (facts !== shown && !ui.json) || (ui.moving && !ui.json)) {
      // From the top of an empty screen (ECMA-48: ED, CUP), where there is one.
      if (watch && ui.moving && !ui.json) await ui.write('\u001b[2J\u001b[H');
      if (!watch || ended || !ui.json) show(context, rollout, instances);
    }
    shown = facts;
    if (!watch) return 0;
    if (ended) return outcome(context, rollout);
    await sleep(lookEveryMs, undefined, { signal }).catch(() => {
      throw new PaasError('interrupted', `Stopped watching; the rollout of ${app.name} goes on.`, {
        hint: `\`paas rollout cancel${app.flags}\` takes it back.`,
      });
    });
  }
}

function show(context: AppContext, rollout: RolloutView | null, instances: readonly InstanceRow[]): void {
  showRollout(context, rollout);
  const { ui } = context;
  if (ui.json || !rollout || instances.length === 0) return;
  ui.line();
  const order = [...instances].sort((a, b) => b.release - a.release);
  ui.table(
    ['RELEASE', 'INSTANCE', 'STATE', 'HOST', 'SINCE', 'WAITS FOR'],
    order.map(({ release, name, state, host, startedAt, message }) => [
      ...[`v${release}${release === rollout.to ? ' new' : ''}`, name, paintState(ui.style, state), host ?? '-'],
      ...[ago(startedAt), message ?? waits[state] ?? ''],
    ]),
  );
}

function outcome({ app }: AppContext, rollout: RolloutView | null): number {
  if (rollout === null || rollout.state === 'succeeded') return 0;
  if (rollout.state === 'failed')
    throw new PaasError('unhealthy', rollout.error ?? `The rollout of v${rollout.to} failed.`, {
      hint: `Read more: \`paas events${app.flags}\`.`,
    });
  throw new PaasError('conflict', `The rollout of v${rollout.to} was ${rollout.state}.`, {
    hint: `See \`paas events${app.flags}\`.`,
  });
}
