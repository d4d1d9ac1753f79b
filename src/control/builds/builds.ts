/**
 * Builds: source tree in, output tree out, on a build host's agent, cached.
 *
 *   queued ─► running ─► succeeded | failed
 *                └ its host was lost, its agent died, this server was away, or the output is damaged here: failed, and
 *                  another build takes its place (at most three attempts). An agent runs a step once, and each attempt
 *                  has its own log.
 */
import { createHash } from 'node:crypto';
import type { BaseRef } from '../../shared/contracts/instances.ts';
import { buildStep, type StepResult } from '../../shared/contracts/steps.ts';
import { PaasError, asPaasError, fromErrorBody } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import type { BuildPlan } from '../../stacks/port.ts';
import type { Control } from '../context.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow, BuildRow } from '../store/schema.ts';

const maxAttempts = 3;
/** Not the app's fault: the agent ended, or this server was away while the agent fetched the source or sent the output. */
const hostFailures = new Set(['host_failed', 'unavailable', 'outcome_unknown', 'timeout']);
const buildTimeoutMs = 30 * 60_000;
const buildMemoryMb = 2048;

/** Key of a build's output: everything that it depends on. Never shared between projects: `project` is a column of its own. */
export function outputKey(input: {
  source: string;
  stack: string;
  stackVersion: number;
  plan: BuildPlan;
  base: string;
  arch: string;
  tools: Readonly<Record<string, string>>;
}): string {
  const { plan } = input;
  const tools = plan.needs.map(({ tool }) => [tool, input.tools[tool] ?? '']);
  const parts = [
    input.source,
    input.stack,
    input.stackVersion,
    plan.commands,
    plan.files,
    input.base,
    input.arch,
    tools,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

export class Builds {
  readonly #control: () => Control;

  /** `control` is asked for late, since the two know each other. */
  constructor(control: () => Control) {
    this.#control = control;
  }

  /** The cached output of a build, if there is one whose tree is still stored. */
  async cached(project: string, key: string): Promise<string | null> {
    const { store, blobs } = this.#control();
    const row = await store.db
      .selectFrom('build_cache')
      .select('tree')
      .where('project', '=', project)
      .where('key', '=', key)
      .executeTakeFirst();
    if (!row) return null;
    if (blobs.has([row.tree])[0] !== true) return null;
    await store.db
      .updateTable('build_cache')
      .set({ used_at: Date.now() })
      .where('project', '=', project)
      .where('key', '=', key)
      .execute();
    return row.tree;
  }

  async remember(project: string, key: string, tree: string): Promise<void> {
    const now = Date.now();
    await this.#control()
      .store.db.insertInto('build_cache')
      .values({ project, key, tree, created_at: now, used_at: now })
      .onConflict((conflict) => conflict.columns(['project', 'key']).doUpdateSet({ tree, used_at: now }))
      .execute();
  }

  /** Records a build to be run as part of `trx`; `dispatch` starts it where a host is ready. */
  async queue(
    trx: Trx,
    id: string,
    app: AppRow,
    source: string,
    what: { stack: string; key: string; plan: BuildPlan; base: BaseRef },
  ): Promise<void> {
    const { plan, base, stack, key } = what;
    const step = buildStep.parse({
      kind: 'build',
      id,
      source,
      base,
      commands: plan.commands,
      files: plan.files,
      sharedCaches: plan.sharedCaches,
      app: { id: app.id, name: app.name, project: app.project, environment: app.environment },
      needs: plan.needs,
      memoryMb: buildMemoryMb,
      timeoutMs: buildTimeoutMs,
    });
    await trx
      .insertInto('builds')
      .values({
        id,
        app_id: app.id,
        project: app.project,
        cache_key: key,
        state: 'queued',
        stack,
        host_id: null,

        step: JSON.stringify(step),
        tree: null,
        error: null,
        attempts: 0,
        created_at: Date.now(),
        finished_at: null,
      })
      .execute();
  }

  /** Gives queued builds to ready hosts: the one with the fewest builds first. */
  async dispatch(): Promise<void> {
    const control = this.#control();
    const { db } = control.store;
    const queued = await db
      .selectFrom('builds')
      .selectAll()
      .where('state', '=', 'queued')
      .orderBy('created_at')
      .execute();
    for (const build of queued) {
      const host = await this.#chooseHost();
      if (host === null) return;
      await db
        .updateTable('builds')
        .set({ state: 'running', host_id: host, attempts: build.attempts + 1 })
        .where('id', '=', build.id)
        .where('state', '=', 'queued')
        .execute();
      control.hub.send(host, { type: 'step', step: buildStep.parse(JSON.parse(build.step)) });
    }
  }

  async #chooseHost(): Promise<string | null> {
    const { store, hub } = this.#control();
    const hosts = await store.db
      .selectFrom('hosts')
      .select(['id', 'roles'])
      .where('state', '=', 'ready')
      .where('draining', '=', 0)
      .execute();
    const running = await store.db.selectFrom('builds').select('host_id').where('state', '=', 'running').execute();
    const load = (id: string) => running.filter((build) => build.host_id === id).length;
    const able = hosts.filter(
      (host) => (JSON.parse(host.roles) as string[]).includes('build') && hub.connected(host.id),
    );
    able.sort((a, b) => load(a.id) - load(b.id) || (a.id < b.id ? -1 : 1));
    return able[0]?.id ?? null;
  }

  /**
   * A host's agent says hello: which steps it has under way, and whose results it still holds. Builds that it should
   * have and does not know of begin again.
   */
  async recover(hostId: string, known: ReadonlySet<string>): Promise<void> {
    const { db } = this.#control().store;
    const running = await db
      .selectFrom('builds')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('state', '=', 'running')
      .execute();
    for (const build of running) if (!known.has(build.id)) await this.#again(build, 'its host forgot it');
    await this.dispatch();
  }

  /** An agent's result. Unknown or finished builds are passed over: results may come twice. */
  async finished(hostId: string, result: StepResult): Promise<void> {
    const control = this.#control();
    const { db } = control.store;
    const build = await db.selectFrom('builds').selectAll().where('id', '=', result.id).executeTakeFirst();
    if (build?.state !== 'running' || build.host_id !== hostId) return;
    if (!result.ok && hostFailures.has(result.error?.code ?? '')) {
      await this.#again(build, result.error?.message ?? '');
    } else if (result.ok && result.tree !== undefined) {
      // What is damaged here is not the link's fault: another attempt sends it anew.
      const problem = await control.blobs.assertComplete(result.tree).then(() => null, asPaasError);
      if (problem) await this.#again(build, problem.message);
      else await this.#succeed(build, result.tree);
    } else {
      const error = fromErrorBody(result.error ?? { code: 'build_failed', message: 'The build failed.' });
      await this.#fail(build, error);
    }
    control.wake.app(build.app_id);
    await this.dispatch();
  }

  async cancel(id: string): Promise<void> {
    const control = this.#control();
    const build = await control.store.db.selectFrom('builds').selectAll().where('id', '=', id).executeTakeFirst();
    if (!build || (build.state !== 'queued' && build.state !== 'running')) return;
    await control.store.db
      .updateTable('builds')
      .set({ state: 'cancelled', finished_at: Date.now() })
      .where('id', '=', id)
      .execute();
    if (build.host_id !== null) control.hub.send(build.host_id, { type: 'stepCancel', id });
  }

  /** The host of a build is gone or gave it up, or its output is no good. For builds that run; whatever else happened meanwhile stands. */
  async again(trx: Trx, build: BuildRow, why: string): Promise<void> {
    const last = build.attempts >= maxAttempts;
    const text = last ? `The build was tried ${build.attempts} times, each time without an output: ${why}.` : why;
    const { numUpdatedRows } = await trx
      .updateTable('builds')
      .set({ state: 'failed', error: JSON.stringify(new PaasError('host_failed', text)), finished_at: Date.now() })
      .where('id', '=', build.id)
      .where('state', '=', 'running')
      .executeTakeFirst();
    if (last || numUpdatedRows === 0n) return;
    const id = newId('bld');
    const step = JSON.stringify(buildStep.parse({ ...(JSON.parse(build.step) as object), id }));
    await trx
      .insertInto('builds')
      .values({ ...build, id, step, state: 'queued', host_id: null })
      .execute();
    await trx.updateTable('deployments').set({ build_id: id }).where('build_id', '=', build.id).execute();
    this.#control().logger.warn('a build begins again', { build: build.id, as: id, why });
  }

  /** What runs on a host that is gone begins again elsewhere. Answers what ran there. */
  async leave(trx: Trx, hostId: string, why: string): Promise<BuildRow[]> {
    const builds = await trx
      .selectFrom('builds')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('state', '=', 'running')
      .execute();
    for (const build of builds) await this.again(trx, build, why);
    return builds;
  }

  async #again(build: BuildRow, why: string): Promise<void> {
    const { store, wake } = this.#control();
    await store.transaction((trx) => this.again(trx, build, why));
    wake.app(build.app_id);
  }

  async #succeed(build: BuildRow, tree: string): Promise<void> {
    await this.remember(build.project, build.cache_key, tree);
    await this.#control()
      .store.db.updateTable('builds')
      .set({ state: 'succeeded', tree, finished_at: Date.now() })
      .where('id', '=', build.id)
      .execute();
  }

  async #fail(build: BuildRow, error: PaasError): Promise<void> {
    await this.#control()
      .store.db.updateTable('builds')
      .set({ state: 'failed', error: JSON.stringify(error), finished_at: Date.now() })
      .where('id', '=', build.id)
      .execute();
  }
}
