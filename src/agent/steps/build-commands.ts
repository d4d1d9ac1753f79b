/** The commands of a build: run with their caches, or left out where what they would make is kept. */
import type { BuildCommand, BuildStep } from '../../shared/contracts/steps.ts';
import { PaasError } from '../../shared/errors.ts';
import type { WalkedTree } from '../../shared/tree/walk.ts';
import type { LimitGroup } from '../limits/port.ts';
import type { Base, Owner, Runtime } from '../runtimes/port.ts';
import { buildEnvironment, buildScript } from './build-environment.ts';
import type { BuildOptions } from './build.ts';
import { keep, snapshot } from './build-output.ts';
import { clearPlace, insidePath } from './build-paths.ts';
import { runCommand } from './command.ts';

export interface Work {
  step: BuildStep;
  directory: string;
  app: string;
  base: Base;
  runtime: Runtime;
  owner: Owner;
  group: LimitGroup;
  signal: AbortSignal;
  /** What the last look at the files saw, so that the next one reads less. */
  seen: WalkedTree | undefined;
}

/** Runs one command to its end. Throws `build_failed` when it fails. */
export async function runBuildCommand(work: Work, command: BuildCommand, options: BuildOptions): Promise<void> {
  const { step, runtime, directory, owner } = work;
  const caches: Record<string, string> = {};
  const binds: Record<string, string> = {};
  for (const [name, variable] of Object.entries(step.sharedCaches)) {
    const bind = { inside: `/tmp/cache-${name}`, host: options.cache.shared(step.app.project, name, owner) };
    binds[bind.inside] = bind.host;
    caches[variable] = runtime.placeOf(bind);
  }
  const env = { ...buildEnvironment(options.env, options.path, caches), ...command.env };
  const cgroups = work.group.visible;
  const spec = { directory, hostname: 'build', base: work.base, owner, env, cgroups, binds };
  const started = runtime.run(spec, ['/bin/sh', '-c', buildScript, 'build', command.run]);
  const end = await runCommand(started, {
    id: step.id,
    directory,
    owner,
    scriptDirectory: options.scriptDirectory,
    group: work.group,
    watchMemoryMb: options.limits.enforcedBy === 'watch' ? step.memoryMb : undefined,
    signal: work.signal,
  });
  if (work.signal.aborted) throw new PaasError('interrupted', 'the build was stopped');
  if (end.oom) {
    throw new PaasError(
      'build_failed',
      `\`${command.name}\` needs more than the ${step.memoryMb} MB that a build may use`,
    );
  }
  if (end.code === 0) return;
  const how = end.signal ? `was ended by ${end.signal}` : `ended with exit code ${String(end.code)}`;
  throw new PaasError('build_failed', `\`${command.name}\` ${how}`);
}

/** Puts a command's directories back if their key is known here. False when the command has to run. */
export async function putBack(work: Work, command: BuildCommand, options: BuildOptions): Promise<boolean> {
  if (!command.cache) return false;
  const { project } = work.step.app;
  const kept = options.cache.get(project, command.cache.key);
  if (!kept) return false;
  try {
    for (const [path, tree] of Object.entries(kept.trees)) {
      const place = clearPlace(work.app, path, work.owner);
      // These trees are on this host only.
      if (tree !== null) await options.trees.materialiseLocal(tree, place, work.owner ?? undefined);
    }
    return true;
  } catch (error) {
    if (!(error instanceof PaasError) || (error.code !== 'not_found' && error.code !== 'corrupt')) throw error;
    options.cache.drop(project, command.cache.key);
    for (const path of Object.keys(kept.trees)) clearPlace(work.app, path, work.owner);
    return false;
  }
}

/** Keeps the directories that a command made under its key. */
export async function remember(
  work: Work,
  cache: { key: string; paths: string[] },
  options: BuildOptions,
): Promise<void> {
  work.seen = await snapshot(work.app, work.signal, work.seen);
  const trees: Record<string, string | null> = {};
  let bytes = 0;
  for (const path of cache.paths) {
    const record = insidePath(work.app, path) && work.seen.directories.find((directory) => directory.path === path);
    trees[path] = record ? record.digest : null;
    const below = work.seen.directories.filter(({ path: at }) => at === path || at.startsWith(`${path}/`));
    if (record) bytes += below.reduce((sum, { stats }) => sum + fileBytes(stats), 0);
  }
  await keep(work.seen, options.trees.store, work.signal);
  options.cache.put(work.step.app.project, { key: cache.key, trees, bytes });
}

/** Sizes are the first of four numbers an entry (shared/tree/walk-cache.ts). */
function fileBytes(stats: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < stats.length; at += 4) sum += stats[at]!;
  return sum;
}
