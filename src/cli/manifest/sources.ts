/** Finds the manifest of a directory, recognises its format and reads it. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { readAppJson } from './app-json.ts';
import { looksLikeCf, readCf } from './cf.ts';
import { newDraft, type Draft } from './draft.ts';
import { positionOf, readText } from './files.ts';
import { readPaasYml } from './paas-yml.ts';
import type { Problems } from './problems.ts';
import { readProcfile, supplement } from './procfile.ts';
import { child, type TreeNode } from './tree.ts';
import { interpolate } from './vars.ts';
import { parseYaml } from './yaml.ts';

export type ManifestSource = 'paas.yml' | 'manifest.yml' | 'Procfile' | 'app.json' | 'none';

export interface SourceOptions {
  /** The source: where a manifest and a Procfile are looked for. */
  directory: string;
  /** A file of any format, or a directory to look in, instead. Relative to the current directory. */
  manifestPath?: string;
  environment: string;
  /** `--var`, for Cloud Foundry manifests. */
  vars?: Readonly<Record<string, string>>;
  /** `--vars-file`; later files come before earlier ones. */
  varsFiles?: readonly string[];
  appName?: string;
}

export interface ReadSource {
  draft: Draft;
  source: ManifestSource;
  /** Cloud Foundry's `path`, absolute: the source is there and not in `directory`. */
  path?: string;
}

/** Reads what there is. What is wrong with it goes to `problems`. */
export async function readSource(options: SourceOptions, problems: Problems): Promise<ReadSource> {
  const found = await find(options, problems);
  const usesVars = Object.keys(options.vars ?? {}).length > 0 || (options.varsFiles ?? []).length > 0;
  if (usesVars && found.format !== 'manifest.yml') {
    problems.warn('`--var` and `--vars-file` have no effect: only Cloud Foundry manifests have variables');
  }
  const { format, file } = found;
  switch (format) {
    case 'paas.yml': {
      const draft = await readPaasYml(found.tree, options.environment, problems);
      await addProcfile(draft, options.directory, problems);
      return { draft, source: format };
    }
    case 'manifest.yml': {
      const files = await Promise.all((options.varsFiles ?? []).map((name) => readVarsFile(name, problems)));
      const variables = { flags: options.vars ?? {}, files: files.filter((tree) => tree !== undefined) };
      const draft = readCf(interpolate(found.tree, variables, problems), options.appName, problems);
      const path = draft.path === undefined ? undefined : resolve(dirname(file), draft.path);
      if (draft.image === undefined) await addProcfile(draft, path ?? options.directory, problems);
      return { draft, source: format, ...(path === undefined ? {} : { path }) };
    }
    case 'app.json':
    case 'Procfile':
    case 'none': {
      const draft = found.tree === undefined ? newDraft() : readAppJson(found.tree, options.environment, problems);
      if (found.procfile !== undefined) supplement(draft, found.procfile);
      return { draft, source: format };
    }
  }
}

type Found =
  | { format: 'paas.yml' | 'manifest.yml'; file: string; tree: TreeNode }
  | { format: 'Procfile' | 'app.json' | 'none'; file: string; tree?: TreeNode; procfile?: Draft };

async function find(options: SourceOptions, problems: Problems): Promise<Found> {
  if (options.manifestPath === undefined) return search(options.directory, problems);
  const path = resolve(options.manifestPath);
  const kind = await stat(path).catch(() => undefined);
  if (kind?.isDirectory() === true) {
    const found = await search(path, problems);
    if (found.format !== 'none') return found;
    throw missing(`${options.manifestPath} has no manifest in it.`);
  }
  const text = await readText(path, options.manifestPath, problems);
  if (text === undefined) throw missing(`There is no file ${options.manifestPath}.`);
  return recognise(text, path, options, problems);
}

/** The order of docs/manifest.md: our own manifest, Cloud Foundry's, then Heroku's two. */
async function search(directory: string, problems: Problems): Promise<Found> {
  for (const name of ['paas.yml', 'paas.yaml', 'manifest.yml', 'manifest.yaml']) {
    const file = join(directory, name);
    const text = await readText(file, name, problems);
    if (text === undefined) continue;
    const tree = await parse(text, name, problems);
    if (name.startsWith('paas')) return { format: 'paas.yml', file, tree };
    // Kubernetes and others have files of this name too.
    if (looksLikeCf(tree) || child(tree, 'apiVersion') === undefined) return { format: 'manifest.yml', file, tree };
    problems.warn(`${name} is not read: it is no manifest of Cloud Foundry`, tree.at);
  }
  return heroku(directory, problems);
}

async function heroku(directory: string, problems: Problems): Promise<Found> {
  const file = join(directory, 'app.json');
  const text = await readText(file, 'app.json', problems);
  const tree = text === undefined ? undefined : await parseJson(text, 'app.json', problems);
  const procfile = await findProcfile(directory, problems);
  const format = procfile !== undefined ? 'Procfile' : tree !== undefined ? 'app.json' : 'none';
  return { format, file, ...(tree === undefined ? {} : { tree }), ...(procfile === undefined ? {} : { procfile }) };
}

/** A file that the user named: its name says what it is, else what is in it. */
async function recognise(text: string, file: string, options: SourceOptions, problems: Problems): Promise<Found> {
  const shown = options.manifestPath ?? basename(file);
  const name = basename(file).toLowerCase();
  if (name.startsWith('procfile')) return { format: 'Procfile', file, procfile: readProcfile(text, shown, problems) };
  if (name.endsWith('.json')) {
    const tree = await parseJson(text, shown, problems);
    if (looksLikeCf(tree)) return { format: 'manifest.yml', file, tree };
    const procfile = await findProcfile(options.directory, problems);
    return { format: 'app.json', file, tree, ...(procfile === undefined ? {} : { procfile }) };
  }
  const tree = await parse(text, shown, problems);
  const isCf = looksLikeCf(tree) || /^manifest\.ya?ml$/.test(name);
  return { format: isCf ? 'manifest.yml' : 'paas.yml', file, tree };
}

/** A document with a syntax error ends the reading: what follows from it would only be noise. */
async function parse(text: string, shown: string, problems: Problems): Promise<TreeNode> {
  const tree = await parseYaml(text, shown, problems);
  if (tree === undefined) problems.throwIfAny();
  return tree ?? { kind: 'scalar', value: null, text: '', at: { file: shown, line: 1, column: 1 } };
}

async function parseJson(text: string, shown: string, problems: Problems): Promise<TreeNode> {
  try {
    JSON.parse(text);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const offset = Number(/at position (\d+)/.exec(reason)?.[1] ?? 0);
    // What follows quotes the file, in which there may be secrets.
    const what = /^[^,"]*?(?= in JSON|,|"|$)/.exec(reason)?.[0] ?? 'syntax error';
    problems.add(positionOf(text, offset, shown), `not valid JSON: ${what}`);
    problems.throwIfAny();
  }
  // JSON is YAML; only the YAML parser knows positions and duplicate keys.
  return parse(text, shown, problems);
}

async function findProcfile(directory: string, problems: Problems): Promise<Draft | undefined> {
  const text = await readText(join(directory, 'Procfile'), 'Procfile', problems);
  return text === undefined ? undefined : readProcfile(text, 'Procfile', problems);
}

async function addProcfile(draft: Draft, directory: string, problems: Problems): Promise<void> {
  const procfile = await findProcfile(directory, problems);
  if (procfile !== undefined) supplement(draft, procfile);
}

async function readVarsFile(name: string, problems: Problems): Promise<TreeNode | undefined> {
  const text = await readText(resolve(name), name, problems);
  if (text === undefined) throw missing(`There is no variables file ${name}.`);
  const tree = await parse(text, name, problems);
  if (tree.kind === 'map') return tree;
  if (tree.kind !== 'scalar' || tree.value !== null)
    problems.add(tree.at, 'a variables file is a map of names and values');
  return undefined;
}

function missing(message: string): PaasError {
  return new PaasError('not_found', message, { hint: 'Check the path; it is relative to the current directory.' });
}
