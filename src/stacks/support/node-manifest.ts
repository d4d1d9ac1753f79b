/** package.json, as far as a build goes by it. */
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';
import type { SourceView } from '../port.ts';
import { readJsonObject } from './source.ts';

const dependencies = z.optional(z.record(z.string(), z.string()));

const schema = z.looseObject({
  main: z.optional(z.string()),
  scripts: z._default(z.record(z.string(), z.string()), {}),
  engines: z.optional(z.union([z.record(z.string(), z.string()), z.array(z.string())])),
  dependencies,
  devDependencies: dependencies,
  optionalDependencies: dependencies,
  workspaces: z.optional(z.unknown()),
  overrides: z.optional(z.unknown()),
  resolutions: z.optional(z.unknown()),
  pnpm: z.optional(z.unknown()),
  packageManager: z.optional(z.string()),
});
export type PackageManifest = z.infer<typeof schema>;

/** @throws PaasError source_invalid that names the field which has the wrong shape. */
export async function readManifest(view: SourceView): Promise<PackageManifest> {
  const parsed = schema.safeParse((await readJsonObject(view, 'package.json')) ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.map(String).join('.') ?? '';
  throw new PaasError(
    'source_invalid',
    `package.json: '${field}' has the wrong shape: ${issue?.message ?? 'invalid'}`,
    {
      hint: `Correct '${field}' in package.json.`,
    },
  );
}

const filled = (map: Record<string, string> | undefined): boolean => Object.keys(map ?? {}).length > 0;

export function hasProductionDependencies(manifest: PackageManifest): boolean {
  return filled(manifest.dependencies) || filled(manifest.optionalDependencies) || manifest.workspaces !== undefined;
}

export function hasDevDependencies(manifest: PackageManifest): boolean {
  return filled(manifest.devDependencies);
}

/** The app's own scripts that an install runs. */
export function lifecycleScripts(manifest: PackageManifest): string[] {
  return ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare'].filter((name) =>
    Object.hasOwn(manifest.scripts, name),
  );
}

/** Git hooks are of no use in a build, and do nothing there. */
const gitHooks = /^(husky|husky install|is-ci \|\| husky( install)?|lefthook install|simple-git-hooks)$/;

/**
 * Whether what an install leaves in node_modules depends on nothing but package.json and the lock file: no scripts of
 * the app's own, no workspaces and no directories linked in (their packages lie outside node_modules).
 */
export function isInstallRepeatable(manifest: PackageManifest): boolean {
  const scripts = lifecycleScripts(manifest).filter((name) => !gitHooks.test((manifest.scripts[name] ?? '').trim()));
  return scripts.length === 0 && manifest.workspaces === undefined && localDependencies(manifest).every(isArchive);
}

/** Paths of the dependencies that come with the source: `file:vendor/x.tgz` -> `vendor/x.tgz`. */
export function localDependencies(manifest: PackageManifest): string[] {
  const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  return Object.values(all)
    .filter((spec) => /^(file:|link:|portal:|\.{1,2}\/)/.test(spec))
    .map((spec) => spec.replace(/^[a-z]+:/, '').replace(/^\.\//, ''));
}

function isArchive(path: string): boolean {
  return /\.(tgz|tar\.gz|tar)$/.test(path);
}

/** The fields that decide what is installed; version, scripts and the like do not. */
export function installFields(manifest: PackageManifest): unknown[] {
  return [
    manifest.dependencies,
    manifest.devDependencies,
    manifest.optionalDependencies,
    manifest['peerDependencies'],
    manifest.overrides,
    manifest.resolutions,
    manifest.pnpm,
    manifest.packageManager,
    manifest.engines,
  ].map((field) => field ?? null);
}
