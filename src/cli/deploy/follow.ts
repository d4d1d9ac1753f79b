/** Watches a deployment to its end: what happens goes to standard error as it happens, the end is the answer. */
import type { Deployment, Progress as ProgressEvent } from '../../shared/contracts/api.ts';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import { spell } from '../ui/times.ts';
import { Progress } from '../ui/progress.ts';
import type { AppScope, Context } from '../command/context.ts';
import { streamEvents } from '../client/index.ts';

export interface WaitFlags {
  timeout: number | undefined;
  'no-wait': boolean;
}

type AppContext = Context & { app: AppScope };

/**
 * Waits for the end of a deployment, unless asked not to.
 * @returns the deployment as it is then
 * @throws PaasError with the code of the deployment's own failure (`unhealthy`, `build_failed`, …); conflict when somebody
 *   cancelled or superseded it; timeout, interrupted and unavailable, after which it goes on
 */
export async function settle(
  context: AppContext,
  deployment: Deployment,
  flags: WaitFlags,
  progress?: Progress,
): Promise<Deployment> {
  if (flags['no-wait'] || deployment.finishedAt !== null) return outcome(context.app, deployment);
  const own = progress ?? new Progress(context.ui);
  try {
    return outcome(context.app, await follow(context, deployment, own, flags.timeout));
  } finally {
    own.stop();
  }
}

async function follow(
  context: AppContext,
  deployment: Deployment,
  progress: Progress,
  timeoutMs: number | undefined,
): Promise<Deployment> {
  const { app, client, signal } = context;
  const timeout = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs);
  const either = timeout ? AbortSignal.any([signal, timeout]) : signal;
  const path = `${app.path}/deployments/${deployment.id}/stream`;
  progress.at(stageOf[deployment.state] ?? verbOf[deployment.kind] ?? 'Rolling out');
  try {
    for await (const { event, data } of streamEvents(client, path, {
      signal: either,
      hasBegun: true,
      onReconnect: () => progress.say('The connection broke; connecting again. The deployment goes on meanwhile.'),
    })) {
      if (event === 'end') return JSON.parse(data) as Deployment;
      if (event === 'progress') render(context, deployment, progress, JSON.parse(data) as ProgressEvent);
    }
  } catch (error) {
    if (!(error instanceof PaasError)) throw error;
    if (error.code === 'unavailable') throw leftAlone(app, deployment, error);
    if (error.code !== 'interrupted') throw error;
    throw leftAlone(app, deployment, timeout?.aborted === true ? (timeoutMs ?? 0) : null);
  }
  throw new PaasError('outcome_unknown', `The platform stopped telling about the deployment of ${app.name}.`, {
    hint: `See \`paas rollout status${app.flags}\`.`,
  });
}

const stageOf: Partial<Record<Deployment['state'], string>> = {
  queued: 'Waiting for the deployment before',
  building: 'Preparing',
  releasing: 'Running the release command',
};

const verbOf: Partial<Record<Deployment['kind'], string>> = {
  scale: 'Scaling',
  restart: 'Restarting',
  start: 'Starting',
  stop: 'Stopping',
};

/** Who asked for it and how it ended are said elsewhere. */
const quiet = new Set([
  'app.push',
  'app.scale',
  'app.restart',
  'app.stop',
  'app.start',
  'app.rollback',
  'config.change',
  'deployment.succeeded',
  'deployment.failed',
  'rollout.failing',
]);

function render({ ui }: Context, deployment: Deployment, progress: Progress, event: ProgressEvent): void {
  const { kind, message } = event;
  if (kind === 'rollout.failing') progress.at('Going back');
  if (quiet.has(kind)) return;
  if (kind.startsWith('build.')) progress.at('Building');
  else if (kind.startsWith('instance.')) progress.at(verbOf[deployment.kind] ?? 'Rolling out');
  if (kind === 'output') progress.say(`  ${ui.errStyle.dim('|')} ${message}`);
  else if (kind === 'build.warning') progress.say(`${ui.errStyle.yellow('Warning:')} ${message}`);
  else progress.say(kind === 'instance.unhealthy' ? ui.errStyle.red(message) : message);
}

/** The deployment where all is well, or still may be; its failure as an error. */
function outcome(app: AppScope, deployment: Deployment): Deployment {
  const { state, error, release, id } = deployment;
  const details = { deployment: id, release, app: app.name };
  if (state === 'failed') {
    const failure = fromErrorBody(error ?? { code: 'internal', message: 'The deployment failed without a reason.' });
    const isBuild = failure.code === 'build_failed';
    throw new PaasError(failure.code, failure.message, {
      hint: isBuild ? `Read it again: \`paas logs${app.flags} --source build\`.` : failure.hint,
      details: { ...failure.details, ...details },
    });
  }
  if (state === 'cancelled' || state === 'superseded') {
    const how = state === 'cancelled' ? 'was cancelled' : 'was superseded by a newer one';
    throw new PaasError('conflict', `The deployment of ${app.name} ${how}.`, {
      hint: `See \`paas events${app.flags}\`.`,
      details,
    });
  }
  return deployment;
}

/**
 * How to see and undo what goes on. `rollout cancel` ends whatever is being rolled out: only what is a rollout itself, or
 * leads to one, is taken back by it; beside the rest, that would be somebody else's push.
 */
export function wayBack({ flags }: AppScope, { kind, rollout }: Pick<Deployment, 'kind' | 'rollout'>): string {
  if (rollout !== null || kind === 'push' || kind === 'config' || kind === 'rollback')
    return `\`paas rollout status${flags}\` shows it, \`paas rollout cancel${flags}\` takes it back.`;
  const undo = {
    scale: `, \`paas scale${flags} PROCESS=N\` sets another number`,
    stop: `, \`paas start${flags}\` starts it again`,
    start: `, \`paas stop${flags}\` stops it again`,
    restart: '',
  };
  return `\`paas ps${flags}\` shows it${undo[kind]}.`;
}

/** It goes on without us, and that has to be said. `why`: the time that was waited, a broken connection, or null: asked to. */
function leftAlone(app: AppScope, deployment: Deployment, why: number | PaasError | null): PaasError {
  const hint = wayBack(app, deployment);
  const details = { deployment: deployment.id, app: app.name };
  if (why === null)
    return new PaasError('interrupted', `Stopped watching; the deployment of ${app.name} goes on.`, { hint, details });
  if (why instanceof PaasError) {
    const message = `The deployment of ${app.name} goes on, but cannot be watched: ${why.message}`;
    return new PaasError(why.code, message, { hint, details, cause: why });
  }
  return new PaasError('timeout', `Waited ${spell(why)} for the deployment of ${app.name}; it goes on.`, {
    hint,
    details,
  });
}
