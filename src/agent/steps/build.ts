/**
 * Step `build`: a source tree and a recipe become an output tree.
 *
 *   needs? ─► materialise ─► command … command ─► stack's files ─► snapshot ─► own store ─► upload ─► {tree}
 *
 * Commands run as a user of the project's own, in the sandbox where it works, with the network; their output goes to a
 * log like an instance's. Everything below `builds/<id>` is removed at the end.
 */
import { appendFileSync, chmodSync, chownSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildStep, StepResult } from '../../shared/contracts/steps.ts';
import type { BaseRef } from '../../shared/contracts/instances.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { findProgram } from '../facts-path.ts';
import type { Limits } from '../limits/port.ts';
import type { ControlHttp } from '../link-http.ts';
import { errorFields, type Log } from '../log.ts';
import { removeTree } from '../remove-tree.ts';
import { logFile } from '../runtimes/keeper.ts';
import type { Base } from '../runtimes/port.ts';
import type { Runtimes } from '../runtimes/registry.ts';
import { ownerOf } from '../runtimes/users.ts';
import { eitherSignal } from '../signals.ts';
import type { Trees } from '../trees/index.ts';
import type { BuildCache } from './build-cache.ts';
import { putBack, remember, runBuildCommand, type Work } from './build-commands.ts';
import type { BuildLogs } from './build-logs.ts';
import { keep, snapshot, upload } from './build-output.ts';
import { writeFiles } from './build-paths.ts';
import { endRun } from './command.ts';
import type { StepDriver } from './runner.ts';

export interface BuildOptions {
  /** `builds/` of the data directory. */
  directory: string;
  /** Where the keeper's script lies. */
  scriptDirectory: string;
  hostName: string;
  env: NodeJS.ProcessEnv;
  /** PATH for builds. */
  path: string;
  tools: Readonly<Record<string, string>>;
  http: ControlHttp;
  trees: Trees;
  bases: { resolve(base: BaseRef): Promise<Base> };
  runtimes: Runtimes;
  limits: Limits;
  cache: BuildCache;
  logs: BuildLogs;
  log: Log;
}

export function createBuildDriver(options: BuildOptions): StepDriver<BuildStep> {
  const running = new Map<string, number>();
  /** Projects whose caches are being looked through; their builds wait. */
  const trimming = new Map<string, Promise<void>>();
  const placeOf = (step: BuildStep) => join(options.directory, step.id);

  /** Removes the files of a build; its log stays until it is delivered. In the background: many files take seconds. */
  const discard = async (directory: string) => {
    for (const name of ['app', 'tmp']) {
      const trash = join(directory, `${name}.trash`);
      await removeTree(trash); // what an earlier agent began
      try {
        renameSync(join(directory, name), trash);
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
        continue; // Never made.
      }
      await removeTree(trash);
    }
  };

  /** In the background, after a project's last build: neither its time nor its failure is the build's. */
  const trim = (project: string) => {
    const trimmed = options.cache
      .trimShared(project)
      .catch((error: unknown) => options.log.warn('build caches were not looked through', errorFields(error)))
      .finally(() => trimming.delete(project));
    trimming.set(project, trimmed);
  };

  return {
    async run(step, signal) {
      checkNeeds(step, options);
      const { project } = step.app;
      await trimming.get(project);
      const directory = placeOf(step);
      const limit = AbortSignal.timeout(step.timeoutMs);
      const work = prepare(step, directory, eitherSignal(signal, limit), options);
      options.logs.begin(step, directory);
      running.set(project, (running.get(project) ?? 0) + 1);
      try {
        return await options.trees.using(async () =>
          build({ ...work, base: await options.bases.resolve(step.base) }, options),
        );
      } catch (error) {
        if (!limit.aborted || signal.aborted) throw error;
        const message = `the build took longer than ${Math.round(step.timeoutMs / 1000)} s and was stopped`;
        throw new PaasError('build_failed', message, { cause: error });
      } finally {
        work.group.remove();
        discard(directory).catch((error: unknown) => options.log.warn('files of a build remain', errorFields(error)));
        await options.logs.end(step.id);
        const others = running.get(project)! - 1;
        running.set(project, others);
        if (others === 0) trim(project);
      }
    },
    async clear(step) {
      const group = options.limits.open(step.id, { memoryMb: step.memoryMb, cpu: null });
      await endRun(step.id, placeOf(step), group);
      group.remove();
      await discard(placeOf(step));
    },
  };
}

/** Says what the host lacks before anything starts. */
function checkNeeds(step: BuildStep, options: BuildOptions): void {
  const missing = step.needs.filter(
    ({ tool }) => !Object.hasOwn(options.tools, tool) && findProgram(tool, options.path) === undefined,
  );
  if (missing.length === 0 || step.base.name !== 'host') return;
  const list = missing.map(({ tool, reason }) => `${tool} not found on host ${options.hostName}: ${reason}`).join('; ');
  throw new PaasError('tool_missing', list, { details: { missing: missing.map(({ tool }) => tool) } });
}

function prepare(step: BuildStep, directory: string, signal: AbortSignal, options: BuildOptions): Omit<Work, 'base'> {
  // One user a project, since its builds share caches.
  const owner = ownerOf(`build:${step.app.project}`);
  mkdirSync(directory, { mode: 0o711 });
  for (const [name, mode] of [
    ['tmp', 0o700],
    ['logs', 0o700],
    ['run', 0o700],
  ] as const)
    mkdirSync(join(directory, name), { mode });
  if (owner) chownSync(join(directory, 'tmp'), owner.uid, owner.gid);
  const runtime = options.runtimes.choose(step.base.name === 'host' ? 'auto' : 'sandbox');
  const group = options.limits.open(step.id, { memoryMb: step.memoryMb, cpu: null });
  return { step, directory, app: join(directory, 'app'), runtime, owner, group, signal, seen: undefined };
}

async function build(work: Work, options: BuildOptions): Promise<Pick<StepResult, 'tree'>> {
  const { step, app, owner, signal } = work;
  const say = (line: string) => appendFileSync(logFile(work.directory, 'stdout'), `${line}\n`, { mode: 0o600 });
  await options.trees.materialise(step.source, app, owner ?? undefined);
  // Every user may pass through the directories above, and the process table tells where it lies.
  chmodSync(app, 0o700);
  writeFiles(app, step.files, owner);
  for (const command of step.commands) {
    if (signal.aborted) throw new PaasError('interrupted', 'the build was stopped');
    if (await putBack(work, command, options)) {
      say(`-----> ${command.name} (nothing changed: kept from an earlier build)`);
      continue;
    }
    say(`-----> ${command.name}`);
    await runBuildCommand(work, command, options);
    if (command.cache) await remember(work, command.cache, options);
  }
  // Commands may have removed or replaced what the stack adds.
  writeFiles(app, step.files, owner);
  chmodSync(app, 0o700);
  const tree = await snapshot(app, signal, work.seen);
  await keep(tree, options.trees.store, signal);
  await upload(tree, options.http, signal);
  return { tree: tree.root };
}
