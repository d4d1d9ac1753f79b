/**
 * What a push changes, pure. Counts, memory, cpu, config and routes of a manifest apply at the first push, and later
 * only where the manifest's own value changed since the push before: a push in an incident never undoes a `paas scale`.
 */
import { createHash } from 'node:crypto';
import {
  defaultMemoryMb,
  type AppSpec,
  type ProcessKind,
  type RouterSettings,
} from '../../shared/contracts/app-spec.ts';
import type { Formation } from '../../shared/contracts/api.ts';
import { describeRouter } from '../../shared/router-text.ts';
import type { Config, ManifestMemory } from './types.ts';

export interface Override {
  instances?: number | undefined;
  memoryMb?: number | undefined;
  cpu?: number | undefined;
}

export interface ProcessShape {
  kind: ProcessKind;
  schedule: string | null;
}

/** Kinds that are kept running in a number of copies; cron and task run when their time comes. */
export const keptRunning = (kind: ProcessKind): boolean => kind === 'web' || kind === 'service' || kind === 'worker';

export function mergeFormation(
  before: Formation,
  memory: ManifestMemory,
  spec: AppSpec,
  processes: Readonly<Record<string, ProcessShape>>,
  overrides: Readonly<Record<string, Override>>,
): Formation {
  const after: Formation = {};
  for (const [type, { kind, schedule }] of Object.entries(processes)) {
    const given = own(spec.processes, type);
    const known = own(memory.processes, type);
    const flag = own(overrides, type);
    const present = own(before, type);
    const pick = <T>(
      flagValue: T | undefined,
      given: T | undefined,
      known: T | undefined,
      present: T | undefined,
      fallback: T,
    ): T => {
      if (flagValue !== undefined) return flagValue;
      if (present === undefined) return given ?? fallback;
      return given !== undefined && given !== known ? given : present;
    };
    after[type] = {
      kind,
      schedule,
      instances: keptRunning(kind)
        ? pick(flag?.instances, given?.instances, known?.instances, present?.instances, 1)
        : 0,
      memoryMb: pick(flag?.memoryMb, given?.memoryMb, known?.memoryMb, present?.memoryMb, defaultMemoryMb),
      cpu: pick<number | null>(flag?.cpu, given?.cpu, known?.cpu, present?.cpu, null),
    };
  }
  return after;
}

/** The entry of that name, where the record has one itself: `constructor` is a good name for a process, too. */
export const own = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

/** Config after a push; `flags` (`--config K=V`) always apply. */
export function mergeConfig(before: Config, memory: ManifestMemory, spec: AppSpec, flags: Config): Config {
  const after = { ...before };
  for (const [key, value] of Object.entries(spec.config ?? {})) {
    if (memory.config[key] !== hashValue(value)) after[key] = value;
  }
  // What the manifest had set and now no longer mentions goes, unless someone has changed it since.
  const dropped = new Set(
    Object.entries(memory.config)
      .filter(
        ([key, hash]) => spec.config?.[key] === undefined && after[key] !== undefined && hashValue(after[key]) === hash,
      )
      .map(([key]) => key),
  );
  const kept = Object.fromEntries(Object.entries(after).filter(([key]) => !dropped.has(key)));
  return sortKeys({ ...kept, ...flags });
}

/** Routes to add and remove so that the manifest's own changes apply and routes added by hand stay. */
export function diffRoutes(
  present: readonly string[],
  memory: ManifestMemory,
  wanted: readonly string[],
): { add: string[]; remove: string[] } {
  return {
    add: wanted.filter((route) => !present.includes(route) && !memory.routes.includes(route)),
    remove: memory.routes.filter((route) => !wanted.includes(route) && present.includes(route)),
  };
}

export function rememberManifest(spec: AppSpec, routes: readonly string[]): ManifestMemory {
  const memory: ManifestMemory = { processes: {}, config: {}, routes: [...routes] };
  for (const [type, { instances, memoryMb, cpu }] of Object.entries(spec.processes)) {
    memory.processes[type] = {
      ...(instances === undefined ? {} : { instances }),
      ...(memoryMb === undefined ? {} : { memoryMb }),
      ...(cpu === undefined ? {} : { cpu }),
    };
  }
  for (const [key, value] of Object.entries(spec.config ?? {})) memory.config[key] = hashValue(value);
  return memory;
}

export const hashValue = (value: string): string => createHash('sha256').update(value).digest('hex').slice(0, 32);

export function sortKeys<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** Equality of JSON values regardless of the order of keys. */
export function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== 'object') return value;
  return sortKeys(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, canonical(item)])));
}

export interface PlanLine {
  action: string;
  target: string;
  from: string | null;
  to: string | null;
}

/** The difference of two formations as plan lines. */
export function formationPlan(before: Formation, after: Formation): PlanLine[] {
  const lines: PlanLine[] = [];
  for (const type of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const a = before[type];
    const b = after[type];
    if (!a && b) lines.push({ action: 'add process', target: type, from: null, to: `${b.instances} x ${b.memoryMb}M` });
    else if (a && !b)
      lines.push({ action: 'remove process', target: type, from: `${a.instances} x ${a.memoryMb}M`, to: null });
    else if (a && b) {
      if (a.instances !== b.instances)
        lines.push({ action: 'scale', target: type, from: String(a.instances), to: String(b.instances) });
      if (a.memoryMb !== b.memoryMb)
        lines.push({ action: 'memory', target: type, from: `${a.memoryMb}M`, to: `${b.memoryMb}M` });
      if (a.cpu !== b.cpu)
        lines.push({ action: 'cpu', target: type, from: String(a.cpu ?? 'no limit'), to: String(b.cpu ?? 'no limit') });
    }
  }
  return lines;
}

/** Router settings that differ, in the words of the manifest. */
export function routerPlan(before: RouterSettings, after: RouterSettings): PlanLine[] {
  const [a, b] = [describeRouter(before), describeRouter(after)];
  const keys = [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key));
  return keys.map((key) => ({ action: 'router', target: key, from: a.get(key) ?? null, to: b.get(key) ?? null }));
}

/** Names of config that differ; values are secret and never part of a plan. */
export function configPlan(before: Config, after: Config): PlanLine[] {
  const lines: PlanLine[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (before[key] === after[key]) continue;
    lines.push({
      action: after[key] === undefined ? 'unset config' : 'set config',
      target: key,
      from: before[key] === undefined ? null : '(present value)',
      to: after[key] === undefined ? null : '(new value)',
    });
  }
  return lines;
}
