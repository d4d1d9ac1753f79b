/** What a push means: compare with what is, then make a release, or find that there is nothing to do. */
import { randomBytes } from 'node:crypto';
import { newCanary } from '../rollout/canary.ts';
import type { RolloutWish } from './release.ts';
import type { PushPlan } from '../../shared/contracts/api.ts';
import type { RouterSettings } from '../../shared/contracts/app-spec.ts';
import type { pushRequest } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { formatRoute, parseRoute } from '../../shared/routes-text.ts';
import type * as z from 'zod/mini';
import { openConfig } from '../agents/assignments.ts';
import type { Control } from '../context.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, ReleaseRow } from '../store/schema.ts';
import { defaultHost, formationOf, manifestOf, type AppName } from './apps.ts';
import * as diff from './diff.ts';
import { routerSettingsOf } from './router-settings.ts';
import { routesOf } from './routes.ts';
import type { SourcePlan } from './source.ts';
import { emptyManifest, type Config, type Formation, type ManifestMemory, type ReleaseProcesses } from './types.ts';

export type Push = z.infer<typeof pushRequest>;

/** Everything that a push would bring about, compared with what is. */
export interface PushOutcome {
  processes: ReleaseProcesses;
  formationBefore: Formation;
  formation: Formation;
  configBefore: Config;
  config: Config;
  routesPresent: string[];
  routes: { add: string[]; remove: string[] };
  manifest: ManifestMemory;
  routerBefore: RouterSettings;
  router: RouterSettings;
  /** Image, processes, config or router settings differ from the release in force (or there is none): a new release is due. */
  releaseDiffers: boolean;
  formationDiffers: boolean;
}

/** Compares; `tree` is the image's tree, or null while it is not built (then the release differs). */
export async function comparePush(
  control: Control,
  name: AppName,
  app: AppRow | undefined,
  push: Push,
  source: SourcePlan,
): Promise<PushOutcome> {
  const { db } = control.store;
  const current = app?.release == null ? undefined : await releaseRow(control, app.id, app.release);
  const memory = app ? manifestOf(app) : emptyManifest;
  const formationBefore = app ? formationOf(app) : {};
  const configBefore = app ? await openConfig(control, app.id, app.config_version) : {};
  const routesPresent = app ? (await routesOf(db, app.id)).map(formatRoute) : [];
  const processes = withCommandFlags(source.processes, push);
  const formation = diff.mergeFormation(formationBefore, memory, push.spec, processes, push.overrides);
  const generated = Object.fromEntries(
    push.generated
      .filter((key) => configBefore[key] === undefined)
      .map((key) => [key, randomBytes(32).toString('hex')]),
  );
  const config = diff.mergeConfig({ ...generated, ...configBefore }, memory, push.spec, push.config);
  const named = (push.spec.routes ?? []).map((route) => formatRoute(parseRoute(route)));
  // `routes: []` asks for no address at all; no `routes` means the app's own one.
  const none = push.spec.routes?.length === 0;
  const own =
    Object.hasOwn(processes, 'web') && !push.noRoute && !none ? [defaultHost(name, control.settings.domain)] : [];
  const wanted = [...new Set([...own, ...named])];
  const routes = diff.diffRoutes(routesPresent, memory, wanted);
  const sameImage = current !== undefined && source.tree !== null && (await imageEquals(control, current, source));
  const routerBefore = current ? routerSettingsOf(current) : {};
  const router = push.spec.router ?? {};
  const same =
    sameImage &&
    diff.sameJson(JSON.parse(current.processes), processes) &&
    diff.sameJson(routerBefore, router) &&
    diff.sameJson(await configOfRelease(control, current), config);
  return {
    processes,
    formationBefore,
    formation,
    configBefore,
    config,
    routesPresent,
    routes,
    manifest: diff.rememberManifest(push.spec, wanted),
    routerBefore,
    router,
    releaseDiffers: !same,
    formationDiffers: !diff.sameJson(formationBefore, formation),
  };
}

/** `--dry-run`: the same comparison as plan lines. Values of config never appear. */
export function describePush(
  name: AppName,
  app: AppRow | undefined,
  push: Push,
  source: SourcePlan | null,
  outcome: PushOutcome | null,
): PushPlan {
  const plan: diff.PlanLine[] = [];
  if (!app)
    plan.push({
      action: 'create app',
      target: `${name.project}/${name.environment}/${name.name}`,
      from: null,
      to: name.name,
    });
  if (!source || !outcome) {
    plan.push({
      action: 'create host',
      target: 'cluster',
      from: null,
      to: 'the first host; it decides stack and build',
    });
    return { app: name.name, changed: true, plan };
  }
  if (outcome.releaseDiffers) {
    if (source.tree === null)
      plan.push({
        action: 'build',
        target: source.stack,
        from: null,
        to: source.plan.commands.map((c) => c.name).join(', '),
      });
    if (push.spec.release !== undefined)
      plan.push({ action: 'run release command', target: push.spec.release, from: null, to: null });
    const from = app?.release == null ? null : `v${app.release}`;
    plan.push({ action: 'release', target: name.name, from, to: `v${(app?.last_release ?? 0) + 1}` });
  }
  plan.push(
    ...diff.formationPlan(outcome.formationBefore, outcome.formation),
    ...diff.configPlan(outcome.configBefore, outcome.config),
    ...diff.routerPlan(outcome.routerBefore, outcome.router),
  );
  for (const route of outcome.routes.add) plan.push({ action: 'add route', target: route, from: null, to: route });
  for (const route of outcome.routes.remove)
    plan.push({ action: 'remove route', target: route, from: route, to: null });
  return { app: name.name, changed: plan.length > 0, plan };
}

function withCommandFlags(processes: ReleaseProcesses, push: Push): ReleaseProcesses {
  const result = { ...processes };
  for (const [type, { command }] of Object.entries(push.overrides)) {
    const present = result[type];
    if (!present) {
      throw new PaasError('usage', `The app has no process ${type}; it has ${Object.keys(processes).join(', ')}.`);
    }
    if (command !== undefined) result[type] = { ...present, command };
  }
  return result;
}

export async function releaseRow(
  control: Control,
  appId: string,
  version: number,
  trx?: Trx,
): Promise<ReleaseRow | undefined> {
  return (trx ?? control.store.db)
    .selectFrom('releases')
    .selectAll()
    .where('app_id', '=', appId)
    .where('version', '=', version)
    .executeTakeFirst();
}

async function imageEquals(control: Control, release: ReleaseRow, source: SourcePlan): Promise<boolean> {
  const image = await control.store.db
    .selectFrom('images')
    .selectAll()
    .where('id', '=', release.image_id)
    .executeTakeFirstOrThrow();
  return (
    image.tree === source.tree &&
    image.base_name === source.base.name &&
    image.base_digest === source.base.digest &&
    image.stack === source.stack &&
    image.profile === source.plan.profile &&
    diff.sameJson(JSON.parse(image.env), source.plan.env)
  );
}

async function configOfRelease(control: Control, release: ReleaseRow): Promise<Config> {
  return openConfig(control, release.app_id, release.config_version);
}

/** How the new release takes over: flags before the manifest, also where they contradict it by what only they imply. */
export function rolloutPlan(
  push: Flags & { spec: Pick<Push['spec'], 'rollout'> },
): Pick<RolloutWish, 'strategy' | 'maxInFlight' | 'canary'> {
  const flags = defined(push);
  const clock = flags.stepWaitMs !== undefined && flags.manual === undefined ? { manual: false } : {};
  const isStepped = flags.steps !== undefined || flags.stepWaitMs !== undefined || flags.manual === true;
  const plan = { ...push.spec.rollout, ...(isStepped ? { strategy: 'canary' as const } : {}), ...flags, ...clock };
  const strategy = plan.strategy ?? 'rolling';
  const { steps, stepWaitMs: waitMs, manual, analysis } = plan;
  const canary = strategy === 'canary' ? newCanary({ steps, waitMs, manual, analysis }) : undefined;
  return { strategy, maxInFlight: plan.maxInFlight, canary };
}

type Flags = Pick<Push, 'strategy' | 'maxInFlight' | 'steps' | 'stepWaitMs' | 'manual' | 'analysis'>;

const defined = ({ strategy, maxInFlight, steps, stepWaitMs, manual, analysis }: Flags): Partial<Flags> =>
  Object.fromEntries(
    Object.entries({ strategy, maxInFlight, steps, stepWaitMs, manual, analysis }).filter(
      ([, value]) => value !== undefined,
    ),
  );
