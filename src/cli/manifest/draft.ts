/** What every manifest format is turned into before flags and defaults. */
import type { AppSpec, Health, ProcessKind, ProcessSpec } from '../../shared/contracts/app-spec.ts';
import type { Position } from './tree.ts';

/** A config value that the app cannot do without, as an `app.json` names it. */
export interface RequiredConfig {
  name: string;
  at: Position;
  description?: string;
}

export interface Draft {
  /** As the manifest has it; may be no DNS label where the format has no such rule. */
  name?: { text: string; at: Position };
  project?: string;
  app: Omit<AppSpec, 'name'>;
  /** Cloud Foundry: where the source is, relative to the manifest's directory. */
  path?: string;
  /** Cloud Foundry: an image to run instead of building a source. */
  image?: string;
  /** Config that the platform makes up (random text) at the first push. */
  generated: string[];
  required: RequiredConfig[];
}

export function newDraft(): Draft {
  return { app: { processes: {} }, generated: [], required: [] };
}

/** What a process type is by its name alone: `web` serves HTTP, as on Heroku and Cloud Foundry; any other is a worker. */
export function kindOf(name: string): ProcessKind {
  return name === 'web' ? 'web' : 'worker';
}

/** A health check with the defaults of docs/manifest.md filled in; undefined when nothing is said about it. */
export function healthOf(
  kind: ProcessKind,
  given: { type?: Health['type']; path?: string; timeout?: number; interval?: number } | undefined,
): Health | undefined {
  if (given === undefined || Object.keys(given).length === 0) return undefined;
  const byKind = kind === 'web' || kind === 'service' ? 'port' : 'process';
  const type = given.type ?? (given.path === undefined ? byKind : 'http');
  return {
    type,
    ...(type === 'http' ? { path: given.path ?? '/' } : {}),
    timeoutMs: given.timeout ?? 60_000,
    intervalMs: given.interval ?? 10_000,
  };
}

/** A process type out of what a manifest says about it; what it does not say stays absent. */
export function processOf(
  kind: ProcessKind,
  given: {
    command?: string;
    instances?: number;
    memory?: number;
    cpu?: number;
    health?: Parameters<typeof healthOf>[1];
    schedule?: string;
    grace?: number;
  },
): ProcessSpec {
  const spec: ProcessSpec = { kind };
  const health = healthOf(kind, given.health);
  if (given.command !== undefined) spec.command = given.command;
  if (given.instances !== undefined) spec.instances = given.instances;
  if (given.memory !== undefined) spec.memoryMb = given.memory;
  if (given.cpu !== undefined) spec.cpu = given.cpu;
  if (health !== undefined) spec.health = health;
  if (given.schedule !== undefined) spec.schedule = given.schedule;
  if (given.grace !== undefined) spec.graceMs = given.grace;
  return spec;
}
