/** `paas.yml`: the table of schema.ts, the chosen environment laid over the rest, and the rules between keys. */
import { newDraft, kindOf, processOf, type Draft } from './draft.ts';
import { nearest } from './nearest.ts';
import type { Problems } from './problems.ts';
import { Reader } from './read.ts';
import { mergeRollout, rolloutOf } from './rollout.ts';
import { checkRouter, mergeRouter, routerOf } from './router.ts';
import {
  commonEnvironments,
  elsewhere,
  paasSchema,
  type HealthEntry,
  type PaasManifest,
  type ProcessEntry,
} from './schema.ts';
import { child, type TreeNode } from './tree.ts';

type Overlay = NonNullable<PaasManifest['environments']>[string];

/** Reads a parsed `paas.yml` for one environment. What is wrong goes to `problems`, for all its environments at once. */
export async function readPaasYml(tree: TreeNode, environment: string, problems: Problems): Promise<Draft> {
  const reader = new Reader(problems, elsewhere);
  const { environments = {}, name, project, ...base } = reader.read(paasSchema, tree, '') ?? {};
  warnOfEnvironments(tree, environment, problems);
  const overlay = Object.hasOwn(environments, environment) ? environments[environment] : undefined;
  const merged = overlay === undefined ? base : merge(base, overlay);

  const draft = newDraft();
  if (name !== undefined) draft.name = { text: name, at: reader.positions.get('name') ?? tree.at };
  if (project !== undefined) draft.project = project;
  const { processes = {}, rollout, router, ...rest } = merged;
  draft.app = { ...rest, processes: {} };
  if (rollout !== undefined) draft.app.rollout = rolloutOf(rollout);
  if (router !== undefined) {
    checkRouter(router, environment, reader);
    draft.app.router = routerOf(router);
  }
  for (const [key, entry] of Object.entries(processes)) {
    const kind = entry.type ?? kindOf(key);
    checkProcess(key, { ...entry, type: kind }, environment, reader);
    draft.app.processes[key] = processOf(kind, entry);
  }
  await checkSchedules({ '': base, ...environments }, reader);
  return draft;
}

/** Maps merge key by key, all else (routes too) is replaced. */
function merge(base: Overlay, overlay: Overlay): Overlay {
  const merged: Overlay = { ...base, ...overlay };
  if (base.config && overlay.config) merged.config = { ...base.config, ...overlay.config };
  if (base.rollout && overlay.rollout) merged.rollout = mergeRollout(base.rollout, overlay.rollout);
  if (base.router && overlay.router) merged.router = mergeRouter(base.router, overlay.router);
  if (base.processes && overlay.processes) {
    merged.processes = { ...base.processes };
    for (const [key, entry] of Object.entries(overlay.processes)) {
      const before = Object.hasOwn(base.processes, key) ? base.processes[key] : undefined;
      const both: ProcessEntry = { ...before, ...entry };
      if (before?.health && entry.health) both.health = mergeHealth(before.health, entry.health);
      merged.processes[key] = both;
    }
  }
  return merged;
}

/** A path is only for `http`: it goes when the environment says another type. */
function mergeHealth(before: HealthEntry, after: HealthEntry): HealthEntry {
  const { path, ...rest } = before;
  const stays = path !== undefined && (after.type === undefined || after.type === 'http');
  return { ...rest, ...(stays ? { path } : {}), ...after };
}

function checkProcess(key: string, entry: ProcessEntry, environment: string, reader: Reader): void {
  const at = (rest: string) =>
    reader.positions.get(`environments.${environment}.processes.${key}${rest}`) ??
    reader.positions.get(`processes.${key}${rest}`) ?? { file: 'paas.yml', line: 1, column: 1 };
  const { problems } = reader;
  if (entry.type === 'cron' && entry.schedule === undefined) {
    problems.add(at(''), `\`processes.${key}\` is of type cron and has no \`schedule\``, 'add schedule: "0 3 * * *"');
  }
  if (entry.type !== 'cron' && entry.schedule !== undefined) {
    const type = entry.type ?? kindOf(key);
    problems.add(at('.schedule'), `\`processes.${key}.schedule\` is not for type ${type}`, 'add `type: cron`');
  }
  if (entry.health?.path !== undefined && entry.health.type !== undefined && entry.health.type !== 'http') {
    const why = `\`processes.${key}.health.path\` is not for type ${entry.health.type}`;
    problems.add(at('.health.path'), why, 'leave it out, or write `type: http`');
  }
  const hasPort = entry.type === 'web' || entry.type === 'service';
  if (!hasPort && (entry.health?.type === 'http' || entry.health?.type === 'port')) {
    const why = `\`processes.${key}.health\` of type ${entry.health.type} needs a process with a port`;
    problems.add(at('.health'), why, 'use `process`, or give the process `type: web` or `service`');
  }
}

/** croner knows what a schedule may be; it is loaded only when there is one. */
async function checkSchedules(scopes: Record<string, Overlay>, reader: Reader): Promise<void> {
  for (const [scope, { processes = {} }] of Object.entries(scopes)) {
    for (const [key, { schedule }] of Object.entries(processes)) {
      if (schedule === undefined) continue;
      const path = `${scope === '' ? '' : `environments.${scope}.`}processes.${key}.schedule`;
      const at = reader.positions.get(path);
      const flaw = await scheduleFlaw(schedule);
      if (flaw !== undefined && at !== undefined) reader.problems.add(at, `\`${path}\` is not a schedule: ${flaw}`);
    }
  }
}

async function scheduleFlaw(schedule: string): Promise<string | undefined> {
  const { Cron } = await import('croner');
  try {
    const next = new Cron(schedule, { paused: true, mode: '5-part', timezone: 'UTC' }).nextRun();
    return next === null ? 'it names a day that never comes' : undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message.replace(/^CronPattern: /, '').replace(/\.$/, '') : String(thrown);
  }
}

/** An ephemeral environment may have any name, so an unknown one is only likely a slip. */
function warnOfEnvironments(tree: TreeNode, environment: string, problems: Problems): void {
  const node = child(tree, 'environments');
  if (node?.kind !== 'map') return;
  for (const { key, at } of node.entries) {
    if (key === environment || commonEnvironments.includes(key)) continue;
    const near = nearest(key, commonEnvironments) ?? commonEnvironments.find((known) => key.startsWith(known));
    const hint = near === undefined ? '' : `; did you mean \`${near}\`?`;
    problems.warn(`\`environments.${key}\` is used only with \`--env ${key}\`${hint}`, at);
  }
}
