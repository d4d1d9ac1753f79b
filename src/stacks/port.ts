/**
 * The Stack port: how a source tree of one language becomes something that runs.
 *
 *   source tree ─► detect ─► plan ─┬─ commands ───────► build step on a host ─► output tree ─► image
 *                                  ├─ files only ─────► control adds them ────► output tree ─► image
 *                                  └─ neither ────────► the source tree itself is the output ─► image
 *
 * Planning is pure: the same source, app, tools and base give the same plan, and the only input is the SourceView.
 * A driver is one file (node.ts, python.ts, …) that exports a Stack, and one line in registry.ts.
 */
import type { AppSpec, ProcessKind } from '../shared/contracts/app-spec.ts';
import type { BuildCommand, BuildStep } from '../shared/contracts/steps.ts';

export interface SourceEntry {
  name: string;
  kind: 'file' | 'dir' | 'symlink';
}

/** What a stack may see of a pushed source tree. Paths are relative, with `/`, without `./`; `''` is the root. */
export interface SourceView {
  /** Entries of a directory by name, sorted; none when there is no such directory. */
  list(dir: string): Promise<SourceEntry[]>;
  /** Content of a file, or null when there is no such file. */
  read(path: string): Promise<Buffer | null>;
  /** Content digest of a file or of a whole directory, or null when there is none. */
  digestOf(path: string): Promise<string | null>;
}

/** The part of an AppSpec that decides how it is built. */
export type StackApp = Pick<AppSpec, 'stack' | 'build' | 'processes'>;

export interface DetectContext {
  view: SourceView;
  app: StackApp;
}

export interface Detection {
  /** What was recognised, for people: `package.json`. */
  reason: string;
  /** Sure (a `package.json`) goes before likely (a lone `app.py`), likely before a guess (a lone `index.html`). */
  confidence: 'sure' | 'likely' | 'guess';
}

export interface PlanContext extends DetectContext {
  /** Caches never cross projects: part of every cache key. */
  project: string;
  /** Tool -> version on the build host (HostFacts.tools). */
  tools: Readonly<Record<string, string>>;
  /** HostFacts.arch */
  arch: string;
  /** Digest of the base image. */
  base: string;
}

export interface Need {
  /** A program that must be on the hosts: `python3`. */
  tool: string;
  /** Why, for people: `this app has a requirements.txt`. */
  reason: string;
}

export interface DefaultProcess {
  kind: ProcessKind;
  command: string;
}

export interface BuildPlan {
  /** Programs that the build or the app needs. */
  needs: Need[];
  /** Run one after the other in the source's root by `sh -c`; none: nothing to build. */
  commands: BuildCommand[];
  /** Files added to the output tree. */
  files: BuildStep['files'];
  /** Download caches shared by the builds of a project: name -> environment variable that points to one. */
  sharedCaches: Record<string, string>;
  /** What runs where neither manifest nor Procfile says so. */
  defaultProcesses: Record<string, DefaultProcess>;
  /** Environment at run time; the app's own config goes before it. */
  env: Record<string, string>;
  /** Shell lines run in the app's directory before each of its commands (support/launch.ts), as `.profile.d` is; may be empty. */
  profile: string;
  /** Shown to the user once; none of them stops the push. */
  warnings: string[];
  /** What to do when there is no default for `web` and the app does not say one either. */
  noCommand: string;
}

export interface Stack {
  name: string;
  /** Raised when the same source must be built anew because the recipe changed; part of every cache key. */
  version: number;
  /** What detection looks for, for the message when nothing is found. */
  looksFor: string;
  /** Null: not this stack. */
  detect(context: DetectContext): Promise<Detection | null>;
  /** @throws PaasError manifest_invalid or source_invalid for a source that it recognises but cannot build. */
  plan(context: PlanContext): Promise<BuildPlan>;
}
