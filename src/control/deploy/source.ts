/** From a pushed source tree to what shall run: stack, build plan, processes. Reads the store, changes nothing. */
import type { AppSpec, Health } from '../../shared/contracts/app-spec.ts';
import type { BaseRef } from '../../shared/contracts/instances.ts';
import type { HostFacts } from '../../shared/contracts/agent.ts';
import { PaasError } from '../../shared/errors.ts';
import type { BuildPlan } from '../../stacks/port.ts';
import { detectStack } from '../../stacks/detect.ts';
import { launchLine } from '../../stacks/support/launch.ts';
import { outputKey } from '../builds/builds.ts';
import { addFiles } from '../builds/overlay.ts';
import { viewOf } from '../builds/view.ts';
import type { Control } from '../context.ts';
import { parseSchedule } from './schedule.ts';
import type { ReleaseProcesses } from './types.ts';

export interface SourcePlan {
  stack: string;
  plan: BuildPlan;
  processes: ReleaseProcesses;
  base: BaseRef;
  /** Key of the build's output. */
  key: string;
  /** The output tree when nothing has to be built on a host (or it is cached), else null. */
  tree: string | null;
  cached: boolean;
}

/** What the build hosts of a cluster are like; null while none has ever been there. */
export async function buildHostFacts(control: Control): Promise<HostFacts | null> {
  const rows = await control.store.db
    .selectFrom('hosts')
    .select(['roles', 'facts', 'state'])
    .where('facts', 'is not', null)
    .orderBy('created_at')
    .execute();
  const able = rows.filter((row) => (JSON.parse(row.roles) as string[]).includes('build'));
  const row = able.find(({ state }) => state === 'ready') ?? able[0];
  return row?.facts ? (JSON.parse(row.facts) as HostFacts) : null;
}

/**
 * Plans a source tree. `facts` are those of the host that would build it.
 * @throws PaasError stack_unknown, source_invalid, manifest_invalid, not_found (base)
 */
export async function planSource(
  control: Control,
  project: string,
  source: string,
  spec: AppSpec,
  facts: HostFacts,
): Promise<SourcePlan> {
  const view = viewOf(control.blobs, source);
  const app = {
    ...(spec.stack === undefined ? {} : { stack: spec.stack }),
    ...(spec.build === undefined ? {} : { build: spec.build }),
    processes: spec.processes,
  };
  const base = await resolveBase(control, spec.base ?? 'host', facts);
  const { stack } = await detectStack(control.stacks, { view, app });
  const { name } = stack;
  const plan = await stack.plan({ view, app, project, tools: facts.tools, arch: facts.arch, base: base.digest });
  const processes = processesOf(spec, plan);
  const key = outputKey({
    source,
    stack: name,
    stackVersion: stack.version,
    plan,
    base: base.digest,
    arch: facts.arch,
    tools: facts.tools,
  });
  const nothingToBuild = plan.commands.length === 0;
  if (nothingToBuild) {
    missingTool(plan, facts);
    const tree = Object.keys(plan.files).length === 0 ? source : await addFiles(control.blobs, source, plan.files);
    return { stack: name, plan, processes, base, key, tree, cached: false };
  }
  const tree = await control.builds.cached(project, key);
  return { stack: name, plan, processes, base, key, tree, cached: tree !== null };
}

/** A plan without a build never reaches a host's own check, so it is made here. */
function missingTool(plan: BuildPlan, facts: HostFacts): void {
  for (const { tool, reason } of plan.needs) {
    if (facts.tools[tool] !== undefined) continue;
    throw new PaasError('tool_missing', `${tool} was not found on the hosts: ${reason}.`, {
      hint: `Install ${tool} on the hosts, or push to a base image that has it (\`paas bases\`).`,
    });
  }
}

async function resolveBase(control: Control, name: string, facts: HostFacts): Promise<BaseRef> {
  if (name === 'host') return facts.bases.find((base) => base.name === 'host') ?? { name: 'host', digest: '' };
  const row = await control.store.db.selectFrom('bases').selectAll().where('name', '=', name).executeTakeFirst();
  if (row) return { name, digest: row.digest };
  throw new PaasError('not_found', `There is no base image ${name}.`, {
    hint: 'See `paas bases`; add one with `paas bases add NAME ROOTFS.tar.gz`.',
  });
}

/** Process types with all that a release fixes; commands come from manifest, Procfile (merged by the CLI), then stack. */
function processesOf(spec: AppSpec, plan: BuildPlan): ReleaseProcesses {
  const processes: ReleaseProcesses = {};
  const names = new Set([...Object.keys(spec.processes), ...Object.keys(plan.defaultProcesses)]);
  // Where the app names its processes, the stack only supplies the commands that these lack.
  const declared = Object.keys(spec.processes).length > 0;
  for (const name of names) {
    const given = spec.processes[name];
    const fallback = plan.defaultProcesses[name];
    if (!given && declared && name !== 'web') continue;
    if (!given && declared && Object.values(spec.processes).some((p) => p.command !== undefined)) continue;
    const command = given?.command ?? fallback?.command;
    const kind = given?.kind ?? fallback?.kind ?? 'worker';
    if (command === undefined) {
      throw new PaasError('manifest_invalid', `The process ${name} has no command.`, {
        hint:
          name === 'web' && plan.noCommand !== ''
            ? plan.noCommand
            : `Give it one: \`processes: { ${name}: { command: … } }\` in paas.yml, or a Procfile.`,
      });
    }
    processes[name] = {
      kind,
      command: launchLine(plan.profile, command),
      health: healthOf(kind, given?.health),
      graceMs: given?.graceMs ?? null,
      schedule: kind === 'cron' ? scheduleOf(name, given?.schedule) : null,
    };
  }
  if (Object.keys(processes).length === 0) {
    throw new PaasError('manifest_invalid', 'The app has no process to run.', { hint: plan.noCommand });
  }
  return processes;
}

function scheduleOf(name: string, schedule: string | undefined): string {
  if (schedule === undefined) {
    throw new PaasError('manifest_invalid', `The process ${name} is of type cron and has no schedule.`, {
      hint: `Give it one: \`processes: { ${name}: { type: cron, schedule: "0 3 * * *", … } }\`.`,
    });
  }
  parseSchedule(schedule, name);
  return schedule;
}

/** Where nothing is said: what listens is probed by its port, what does not by its life. */
function healthOf(kind: string, given: Health | undefined): Health {
  if (given) return given;
  const type = kind === 'web' || kind === 'service' ? 'port' : 'process';
  return { type, timeoutMs: 60_000, intervalMs: 10_000 };
}
