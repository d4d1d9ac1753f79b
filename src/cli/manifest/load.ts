/** `paas.yml`, `manifest.yml`, Procfile, `app.json` and flags into one AppSpec. docs/manifest.md is the user's view of it. */
import { basename, resolve } from 'node:path';
import type { AppSpec } from '../../shared/contracts/app-spec.ts';
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import type { Draft } from './draft.ts';
import { labelHint, slugify } from './leaves.ts';
import { applyOverrides, type Overrides } from './overrides.ts';
import { Problems, type Warning } from './problems.ts';
import { readSource, type ManifestSource, type SourceOptions } from './sources.ts';

export type { ManifestSource, Overrides, Warning };

export interface LoadOptions extends SourceOptions {
  flags: Overrides;
  /** The app's name if nothing names it, instead of the directory's; for sources that are unpacked somewhere. */
  defaultName?: string;
  /** Names of config values that the platform already has; asked only when `app.json` requires one that is not given. */
  knownConfig?: (app: string) => Promise<readonly string[]>;
}

export interface LoadedManifest {
  /** One, chosen by name where a Cloud Foundry manifest has several. */
  specs: AppSpec[];
  source: ManifestSource;
  nameSource: 'flag' | 'manifest' | 'app.json' | 'directory';
  warnings: Warning[];
  project?: string;
  /** Where the source is if not in the directory (Cloud Foundry's `path`); absolute. */
  path?: string;
  /** An image instead of a source (Cloud Foundry's `docker`). */
  image?: string;
  /** Names of config values to be made up at the first push (`generator: secret` of `app.json`). */
  generated: string[];
}

/**
 * Reads the manifest of a directory, or the one named, for one environment. Fields that nothing gives stay absent. A directory
 * without any gives an app without processes: its stack knows the default.
 * @throws PaasError manifest_invalid with all problems (`details.problems`), too_large, not_found (a file or application
 *   that was named), usage (flags)
 */
export async function loadManifest(options: LoadOptions): Promise<LoadedManifest> {
  const problems = new Problems();
  if (options.appName !== undefined && !dnsLabel.test(options.appName)) throw badName(options.appName);
  const { draft, source, path } = await readSource(options, problems);
  const { name, nameSource } = nameOf(draft, source, options, problems);
  applyOverrides(draft.app, options.flags);
  await checkRequired(draft, name, options, problems);
  problems.throwIfAny();

  const given = new Set(Object.keys(draft.app.config ?? {}));
  return {
    specs: [{ name, ...draft.app }],
    source,
    nameSource,
    warnings: problems.warnings,
    ...(draft.project === undefined ? {} : { project: draft.project }),
    ...(path === undefined ? {} : { path }),
    ...(draft.image === undefined ? {} : { image: draft.image }),
    generated: draft.generated.filter((key) => !given.has(key)),
  };
}

/** The name that was asked for, else the manifest's, else the directory's. */
function nameOf(
  draft: Draft,
  source: ManifestSource,
  options: LoadOptions,
  problems: Problems,
): Pick<LoadedManifest, 'nameSource'> & { name: string } {
  if (options.appName !== undefined) return { name: options.appName, nameSource: 'flag' };
  const isHeroku = source === 'Procfile' || source === 'app.json';
  if (draft.name !== undefined && !isHeroku) {
    const { text, at } = draft.name;
    if (!dnsLabel.test(text)) {
      const hint = labelHint(text) ?? 'write one with `a-z`, `0-9` and `-`';
      problems.add(at, `the name \`${text.slice(0, 80)}\` is not a DNS label (a-z, 0-9 and -)`, hint);
    }
    return { name: text, nameSource: 'manifest' };
  }
  const fromAppJson = slugify(draft.name?.text ?? '');
  if (fromAppJson !== '') return { name: fromAppJson, nameSource: 'app.json' };
  const fromDirectory = slugify(options.defaultName ?? basename(resolve(options.directory)));
  if (fromDirectory === '') {
    throw new PaasError('usage', 'The app has no name.', { hint: 'Name it: `paas push APP`.' });
  }
  return { name: fromDirectory, nameSource: 'directory' };
}

async function checkRequired(draft: Draft, app: string, options: LoadOptions, problems: Problems): Promise<void> {
  const unset = draft.required.filter(({ name }) => !Object.hasOwn(draft.app.config ?? {}, name));
  if (unset.length === 0) return;
  const known = new Set(await options.knownConfig?.(app));
  for (const { name, at, description } of unset) {
    if (known.has(name)) continue;
    const what = description === undefined ? '' : ` (${description})`;
    problems.add(at, `\`${name}\`${what} is required and has no value`, `give it with \`--config ${name}=…\``);
  }
}

function badName(name: string): PaasError {
  const hint = labelHint(name);
  return new PaasError('usage', `\`${name.slice(0, 80)}\` is not a name for an app: it must be a DNS label.`, {
    hint: hint === undefined ? 'Names have a-z, 0-9 and -.' : `W${hint.slice(1)}, for instance.`,
  });
}
