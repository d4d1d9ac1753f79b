/** Shapes of the JSON columns that deployments write. */
import type { AppSpec, Health, ProcessKind } from '../../shared/contracts/app-spec.ts';
import type { Formation } from '../../shared/contracts/api.ts';

/** What a release fixes of each process type: everything but counts, memory and cpu, which the formation has. */
export type ReleaseProcesses = Record<
  string,
  { kind: ProcessKind; command: string; health: Health; graceMs: number | null; schedule: string | null }
>;

/** The manifest's own values at the last push, to tell which of them changed since. Config values only as hashes. */
export interface ManifestMemory {
  processes: Record<string, { instances?: number; memoryMb?: number; cpu?: number }>;
  config: Record<string, string>;
  routes: string[];
}

export const emptyManifest: ManifestMemory = { processes: {}, config: {}, routes: [] };

export type Config = Record<string, string>;
export type { AppSpec, Formation };
