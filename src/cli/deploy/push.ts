/** What `paas push` does, apart from its flags: source → manifest → upload → deployment. */
import type { Deployment, PushPlan, PushRequest } from '../../shared/contracts/api.ts';
import type { AppDetail } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { measureTree } from '../../shared/tree/send.ts';
import { uploadTransport } from '../client/upload.ts';
import type { AppScope, Context } from '../command/context.ts';
import { loadManifest, type LoadedManifest } from '../manifest/load.ts';
import { processForFlags } from '../manifest/overrides.ts';
import { openSource, type Source, type SourceOptions } from '../source/index.ts';
import { uploadSource, type Sent } from '../source/upload.ts';
import { walkSource } from '../source/walk.ts';
import type { Progress } from '../ui/progress.ts';
import { count, spellBytes } from '../ui/times.ts';

export interface PushWish {
  source: SourceOptions;
  appName: string | undefined;
  project: string | undefined;
  environment: string;
  manifestPath: string | undefined;
  vars: Record<string, string>;
  varsFiles: string[];
  config: Record<string, string>;
  instances: number | undefined;
  memoryMb: number | undefined;
  cpu: number | undefined;
  command: string | undefined;
  strategy: PushRequest['strategy'];
  maxInFlight: number | undefined;
  canary: Pick<PushRequest, 'steps' | 'stepWaitMs' | 'manual' | 'analysis'>;
  noRoute: boolean;
  message: string;
  concurrent: 'supersede' | 'wait' | undefined;
}

export interface Prepared {
  app: AppScope;
  source: Source;
  manifest: LoadedManifest;
}

/** Opens the source and reads its manifest. Whoever calls it disposes of the source. */
export async function prepare(context: Context, wish: PushWish, progress: Progress): Promise<Prepared> {
  if (wish.source.git !== undefined || wish.source.svn !== undefined) progress.at('Fetching the source');
  const opened = await openSource({ ...wish.source, signal: context.signal });
  try {
    for (const notice of opened.notices) progress.say(notice);
    const manifest = await readManifest(context, wish, opened);
    const [spec] = manifest.specs;
    if (spec === undefined) throw new PaasError('manifest_invalid', 'The manifest names no application.');
    if (manifest.image !== undefined) throw noImages(manifest.image);
    for (const { message, file, line } of manifest.warnings) {
      const at = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
      progress.say(`${context.ui.errStyle.yellow('Warning:')} ${message}${at}`);
    }
    const { environment } = wish;
    const project = wish.project ?? (context.env['PAAS_PROJECT'] || manifest.project) ?? context.target.project;
    const app = context.appScope({ name: spec.name, project, environment });
    // Cloud Foundry's `path`: the source is elsewhere than its manifest.
    if (manifest.path === undefined) return { app, source: opened, manifest };
    const inner = await openSource({ path: manifest.path, signal: context.signal });
    const dispose = async (): Promise<void> => {
      await inner.dispose();
      await opened.dispose();
    };
    return { app, manifest, source: { ...inner, dispose } };
  } catch (error) {
    await opened.dispose();
    throw error;
  }
}

/** @throws PaasError unsupported */
export function noImages(image: string): PaasError {
  return new PaasError('unsupported', `This platform cannot run container images yet (${image}).`, {
    hint: 'Push the source instead: a directory, an archive, --git or --svn.',
  });
}

function readManifest(context: Context, wish: PushWish, source: Source): Promise<LoadedManifest> {
  const { appName, manifestPath, vars, varsFiles, command, noRoute } = wish;
  const name = source.provenance.url ?? source.name;
  return loadManifest({
    directory: source.directory,
    environment: wish.environment,
    vars,
    varsFiles,
    ...(manifestPath === undefined ? {} : { manifestPath }),
    ...(appName === undefined ? {} : { appName }),
    ...(source.temporary ? { defaultName: nameOf(name) } : {}),
    // Counts, sizes and config given as flags apply always, so they travel apart from what the manifest says.
    flags: { ...(command === undefined ? {} : { command }), ...(noRoute ? { noRoute } : {}) },
    knownConfig: async (app) => [...Object.keys(wish.config), ...(await knownConfig(context, wish, app))],
  });
}

/** `shop` out of `https://example.com/acme/shop.git` and of `shop.tar.gz`. */
function nameOf(url: string): string {
  const last =
    url
      .replace(/[/\\]+$/, '')
      .split(/[/\\:]/)
      .at(-1) ?? '';
  return last.replace(/\.(git|zip|jar|war|tar|tgz|tar\.gz)$/i, '');
}

async function knownConfig(context: Context, wish: PushWish, name: string): Promise<string[]> {
  const project = wish.project ?? context.target.project;
  const { path } = context.appScope({ name, project, environment: wish.environment });
  try {
    const { values } = await context.client.request<{ values: Record<string, string> }>({
      method: 'GET',
      path: `${path}/config`,
      signal: context.signal,
    });
    return Object.keys(values);
  } catch (error) {
    if (error instanceof PaasError && error.code === 'not_found') return [];
    throw error;
  }
}

/** Uploads what the platform lacks and asks for the deployment. */
export async function push(
  context: Context,
  wish: PushWish,
  prepared: Prepared,
  progress: Progress,
): Promise<{ deployment: Deployment; sent: Sent }> {
  const { source, app } = prepared;
  const { client, signal, home } = context;
  progress.at('Reading the source');
  const { tree, sent } = await uploadSource(source, uploadTransport(client, signal), {
    home,
    signal,
    onWalk: (files) => progress.at('Reading the source', `(${count(files, 'file')})`),
    onProgress: (bytes, total, files) =>
      progress.at(`Sending ${count(files, 'file')}, ${spellBytes(total)}`, `(${spellBytes(bytes)} sent)`),
    onRetry: () => progress.say('The connection broke; trying again from where it broke.'),
  });
  const body = requestOf(tree.root, wish, prepared);
  // Ctrl-C takes effect after the answer, so that it is never unknown whether a deployment was begun.
  const deployment = await client.request<Deployment>({ method: 'POST', path: `${app.path}/pushes`, body });
  return { deployment, sent };
}

function requestOf(tree: string, wish: PushWish, { manifest, source }: Prepared): PushRequest {
  const spec = manifest.specs[0]!;
  const { instances, memoryMb, cpu } = wish;
  const override = given({ instances, memoryMb, cpu });
  const flags = Object.keys(override);
  const overrides = flags.length === 0 ? {} : { [processForFlags(Object.keys(spec.processes), flags)]: override };
  return {
    source: { tree, provenance: { ...source.provenance } },
    spec,
    overrides,
    config: wish.config,
    noRoute: wish.noRoute,
    message: wish.message,
    generated: manifest.generated.filter((name) => !Object.hasOwn(wish.config, name)),
    ...wish.canary,
    ...given({ strategy: wish.strategy, maxInFlight: wish.maxInFlight, concurrent: wish.concurrent }),
  };
}

export interface DryRun extends PushPlan {
  upload: Sent;
  /** Whether the source had to stay unknown to the platform, so that only the outline is known. */
  outline: boolean;
}

/** What a push would do. Nothing is uploaded: of a source that the platform has never seen, only the outline is known. */
export async function dryRun(
  context: Context,
  wish: PushWish,
  prepared: Prepared,
  progress: Progress,
): Promise<DryRun> {
  const { source, app } = prepared;
  const { client, signal, home } = context;
  progress.at('Reading the source');
  const tree = await walkSource(source, { home, signal });
  const upload = await measureTree(tree, uploadTransport(client, signal), { signal });
  const body = requestOf(tree.root, wish, prepared);
  if (upload.bytes === 0) {
    const plan = await client.request<PushPlan>({ method: 'POST', path: `${app.path}/plans`, body, signal });
    return { ...plan, upload, outline: false };
  }
  return { app: app.name, changed: true, plan: await outline(context, app, body, upload), upload, outline: true };
}

type PlanLine = PushPlan['plan'][number];

/** What is certain without the platform knowing the source. */
async function outline(
  { client, signal }: Context,
  app: AppScope,
  body: PushRequest,
  upload: Sent,
): Promise<PlanLine[]> {
  const present = await client.request<AppDetail>({ method: 'GET', path: app.path, signal }).catch((error: unknown) => {
    if (error instanceof PaasError && error.code === 'not_found') return null;
    throw error;
  });
  const full = `${app.project}/${app.environment}/${app.name}`;
  const created: PlanLine[] = present ? [] : [{ action: 'create app', target: full, from: null, to: app.name }];
  const to = `${count(upload.files, 'file')} that the platform does not have`;
  const from = present?.release == null ? null : `v${present.release}`;
  const scaled = Object.entries(body.overrides ?? {}).flatMap(([type, { instances }]): PlanLine[] => {
    const now = present?.formation[type]?.instances;
    return instances === undefined || instances === now
      ? []
      : [{ action: 'scale', target: type, from: now === undefined ? null : String(now), to: String(instances) }];
  });
  const config = Object.keys(body.config ?? {}).map((key): PlanLine => ({
    action: 'set config',
    target: key,
    from: null,
    to: '(given value)',
  }));
  return [...created, { action: 'build and release', target: app.name, from, to }, ...scaled, ...config];
}

function given<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
