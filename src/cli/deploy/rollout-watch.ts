/** `paas rollout`: who is where, since when, and what is waited for; once, or until the rollout ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment, InstanceRow, RolloutResponse } from '../../shared/contracts/api.ts';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import type { AppScope, Context } from '../command/context.ts';
import { flag } from '../command/flags.ts';
import { paintState } from '../ui/states.ts';
import { ago } from '../ui/times.ts';
import { wayBack } from './follow.ts';
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
 * @throws PaasError as a push that waits: why it failed, conflict where somebody ended it, interrupted
 */
export async function watchRollout(context: AppContext, watch: boolean): Promise<number> {
  const { client, signal, app, ui } = context;
  const get = <T>(path: string): Promise<T> => client.request<T>({ method: 'GET', path: `${app.path}${path}`, signal });
  let shown = '';
  /** Rollouts and deployments that were under way while this watched. */
  const seen = new Set<string>();
  let last: RolloutResponse = { rollout: null, deployment: null };
  const unlessStopped = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw watch && signal.aborted ? stopped(app, last) : error;
    });
  for (;;) {
    const look = Promise.all([get<RolloutResponse>('/rollout'), get<InstanceRow[]>('/instances')]);
    const [now, instances] = await unlessStopped(look);
    last = now;
    const { rolling, unfinished } = underWay(now);
    for (const one of [rolling, unfinished]) if (one) seen.add(one.id);
    const ended = !rolling && !unfinished;
    const facts = JSON.stringify([now, instances.map(({ id, state, ready }) => [id, state, ready])]);
    // One document of JSON: an error says in it how the rollout stands.
    const failure = watch && ended ? failureOf(context, now, seen) : null;
    const due = ui.json ? !watch || (ended && !failure) : !watch || ended || facts !== shown || ui.moving;
    if (due) {
      // From the top of an empty screen (ECMA-48: ED, CUP), where there is one.
      if (watch && ui.moving && !ui.json) await ui.write('\u001b[2J\u001b[H');
      show(context, now, instances);
    }
    shown = facts;
    if (failure) throw failure;
    if (!watch || ended) return 0;
    await unlessStopped(sleep(lookEveryMs, undefined, { signal }));
  }
}

function underWay({ rollout, deployment }: RolloutResponse) {
  return {
    rolling: rollout !== null && !over.has(rollout.state) ? rollout : null,
    unfinished: deployment?.finishedAt === null ? deployment : null,
  };
}

/** @param last what was known at last */
function stopped(app: AppScope, last: RolloutResponse): PaasError {
  const { rolling, unfinished } = underWay(last);
  if (!rolling && !unfinished) return new PaasError('interrupted', 'Stopped watching.', { hint: '' });
  return new PaasError('interrupted', `Stopped watching; what is under way of ${app.name} goes on.`, {
    hint: wayBack(app, { kind: unfinished?.kind ?? 'push', rollout: rolling }),
  });
}

function show(context: AppContext, now: RolloutResponse, instances: readonly InstanceRow[]): void {
  showRollout(context, now);
  const { rollout } = now;
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

/** These may come beside a rollout, and say nothing of how it ends. */
const beside: ReadonlySet<Deployment['kind']> = new Set(['scale', 'restart', 'start', 'stop']);

/**
 * Why a command that waits for it fails; null where it succeeded.
 * @param seen what was under way meanwhile
 */
function failureOf(
  { app }: AppContext,
  { rollout, deployment }: RolloutResponse,
  seen: ReadonlySet<string>,
): PaasError | null {
  const details = { rollout, deployment };
  if (deployment?.rollout === null) {
    // It ended in the queue, in its build or in its release command, or there was nothing to do.
    const { state, kind, error } = deployment;
    if (error) return fromErrorBody({ ...error, details: { ...error.details, ...details } });
    if (state !== 'succeeded')
      return new PaasError('conflict', `The ${kind} was ${state}.`, {
        hint: `See \`paas events${app.flags}\`.`,
        details,
      });
    // All is well with what was waited for, unless that was the rollout.
    const isWaitedFor = seen.has(deployment.id) || !beside.has(kind);
    if (isWaitedFor && !seen.has(rollout?.id ?? '')) return null;
  }
  if (rollout === null || rollout.state === 'succeeded') return null;
  const { state, to, error, errorCode } = rollout;
  if (state === 'failed') {
    const hint = `Read more: \`paas events${app.flags}\`.`;
    const message = error ?? `The rollout of v${to} failed.`;
    return fromErrorBody({ code: errorCode ?? 'unhealthy', message, hint, details });
  }
  const hint = `See \`paas events${app.flags}\`.`;
  return new PaasError('conflict', `The rollout of v${to} was ${state}.`, { hint, details });
}
