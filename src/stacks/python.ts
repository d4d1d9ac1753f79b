/** Python: dependencies in a virtual environment of the app's own; an app that has none is not built at all. */
import { PaasError } from '../shared/errors.ts';
import type { BuildPlan, PlanContext, SourceView, Stack } from './port.ts';
import { cacheKey } from './support/keys.ts';
import { pathLine } from './support/launch.ts';
import { pythonCommand } from './support/python-command.ts';
import { readRequirements } from './support/python-requirements.ts';
import { projectDependencies, venvInstall, venvProfile, type VenvInstall } from './support/python-venv.ts';
import { emptyPlan, fileNames, firstOf, givenCommands, readText, webCommand } from './support/source.ts';

const entries = ['manage.py', 'app.py', 'main.py', 'server.py', 'wsgi.py', 'asgi.py', 'application.py', 'run.py'];
const runsPython = /(^|[\s;&|=])(python[0-9.]*|gunicorn|uvicorn|hypercorn|flask|celery|waitress-serve|\S+\.py)(\s|$)/m;

export const python: Stack = {
  name: 'python',
  version: 1,
  looksFor: 'requirements.txt, pyproject.toml, setup.py, Pipfile or a *.py file',

  async detect(context) {
    const names = await fileNames(context.view);
    const declared = firstOf(names, ['requirements.txt', 'setup.py', 'Pipfile']);
    if (declared !== undefined) return { reason: declared, confidence: 'sure' };
    if ((await readProject(context.view)).kind !== 'none') return { reason: 'pyproject.toml', confidence: 'sure' };
    const sources = names.filter((name) => name.endsWith('.py'));
    const [first] = sources;
    if (first === undefined) return null;
    const commands = await givenCommands(context);
    if (commands.some((command) => runsPython.test(command))) return { reason: first, confidence: 'sure' };
    const entry = firstOf(names, entries) ?? (sources.length === 1 ? first : undefined);
    return entry === undefined ? null : { reason: entry, confidence: 'likely' };
  },

  async plan(context) {
    const { view, app } = context;
    const install = await installation(context);
    const names = await fileNames(view);
    const profile = await profileFor(context, install !== null);
    const plan: BuildPlan = {
      ...emptyPlan('Add a Procfile (`web: python3 app.py`), or name the main file app.py, main.py or server.py.'),
      needs: [{ tool: 'python3', reason: install?.reason ?? 'this is a Python app' }],
      commands: install === null ? [] : install.steps.map(venvInstall),
      sharedCaches: install === null ? {} : { pip: 'PIP_CACHE_DIR' },
      defaultProcesses: webCommand(await pythonCommand(view, entries, install?.packages ?? new Set())),
      files: profile.files,
      profile: profile.lines,
      env: { PYTHONUNBUFFERED: '1', PYTHONHASHSEED: 'random', LANG: 'C.UTF-8' },
      warnings: await warnings(context, names),
    };
    const inEnvironment = (name: string, line: string): void => {
      const run = install === null ? line : `${venvProfile}\n${line}`;
      plan.commands.push({ name, run, env: {} });
    };
    if (names.includes('manage.py') && install?.packages.has('django') === true) {
      inEnvironment('collectstatic', collectStatic);
    }
    if (app.build !== undefined) inEnvironment(app.build, app.build);
    return plan;
  },
};

interface Installation {
  reason: string;
  steps: VenvInstall[];
  packages: ReadonlySet<string>;
}

/** What pip has to do, or null when there is nothing to install. */
async function installation(context: PlanContext): Promise<Installation | null> {
  const { view } = context;
  const names = await fileNames(view);
  const key = (...parts: unknown[]): string => cacheKey(python, context, ['python3'], parts);
  if (names.includes('requirements.txt')) {
    const { any, packages, inputs, installsSource } = await readRequirements(view, 'requirements.txt');
    if (!any) return null;
    const line = 'install -r requirements.txt';
    const cached = installsSource ? {} : { cacheKey: key(line, inputs) };
    const arguments_ = line.replace('install ', '');
    const step = { name: `pip ${line}`, arguments: arguments_, fresh: true, keepPip: packages.has('pip'), ...cached };
    return { reason: 'this app has a requirements.txt', steps: [step], packages };
  }
  const project = await readProject(view);
  const self: VenvInstall = { name: 'pip install .', arguments: '.', fresh: true, keepPip: false };
  if (project.kind === 'none') {
    if (names.includes('setup.py')) {
      return { reason: 'this app has a setup.py', steps: [self], packages: new Set() };
    }
    if (!names.includes('Pipfile')) return null;
    throw new PaasError('source_invalid', 'A Pipfile alone is not read by this platform.', {
      hint: 'Run `pipenv requirements > requirements.txt` and push that with it.',
    });
  }
  const reason = 'this app has a pyproject.toml';
  if (project.kind === 'poetry') return { reason, steps: [self], packages: project.packages };
  const dependencies: VenvInstall = {
    name: 'pip install (dependencies of pyproject.toml)',
    arguments: '-r /dev/stdin',
    requirements: projectDependencies,
    fresh: true,
    keepPip: project.buildable,
    cacheKey: key('pyproject', await view.digestOf('pyproject.toml')),
  };
  if (project.buildable)
    return { reason, steps: [dependencies, { ...self, fresh: false }], packages: project.packages };
  return project.packages.size === 0 ? null : { reason, steps: [dependencies], packages: project.packages };
}

interface Project {
  /** `project`: a [project] table (PEP 621); `poetry`: dependencies in Poetry's own table; `none`: settings of tools only. */
  kind: 'project' | 'poetry' | 'none';
  /** It has a [build-system], so it is a package that gets installed itself. */
  buildable: boolean;
  /** Names that look like dependencies; good enough to choose a default command. */
  packages: Set<string>;
}

async function readProject(view: SourceView): Promise<Project> {
  const text = (await readText(view, 'pyproject.toml')) ?? '';
  const has = (table: string): boolean => new RegExp(`^\\s*\\[${table}\\]`, 'm').test(text);
  const listed = /^dependencies\s*=\s*\[([\s\S]*?)\]\s*$/m.exec(text)?.[1] ?? '';
  const named = [...listed.matchAll(/["']\s*([A-Za-z0-9._-]+)/g), ...text.matchAll(/^([A-Za-z0-9._-]+)\s*=/gm)];
  const inTable = has('tool\\.poetry(\\.dependencies)?') && !has('project');
  const packages = new Set(
    (inTable ? named : [...listed.matchAll(/["']\s*([A-Za-z0-9._-]+)/g)]).map((match) =>
      (match[1] ?? '').toLowerCase(),
    ),
  );
  const kind = inTable ? 'poetry' : has('project') || has('build-system') ? 'project' : 'none';
  return { kind, buildable: has('build-system'), packages };
}

/** As Heroku: run where it can succeed; DISABLE_COLLECTSTATIC=1 turns it off. */
const collectStatic = `if [ "\${DISABLE_COLLECTSTATIC:-0}" = 1 ]; then
  echo 'DISABLE_COLLECTSTATIC is set.'
elif python3 manage.py collectstatic --dry-run --noinput >/dev/null 2>&1; then
  python3 manage.py collectstatic --noinput
else
  echo 'Skipped: this app is not set up for collectstatic (try: python3 manage.py collectstatic --dry-run).'
fi`;

/**
 * Commands written for Heroku say `python`, which many hosts only know as python3; a virtual environment has both
 * names, an app without one gets a script of that name.
 */
async function profileFor(
  context: PlanContext,
  hasVenv: boolean,
): Promise<{ lines: string; files: BuildPlan['files'] }> {
  if (hasVenv) return { lines: venvProfile, files: {} };
  const commands = [...(await givenCommands(context)), context.app.build ?? ''];
  if (!commands.some((command) => /(^|[\s;&|(])python(\s|$)/m.test(command))) return { lines: '', files: {} };
  const script = { text: '#!/bin/sh\nexec python3 "$@"\n', mode: 0o755 };
  return { lines: pathLine('.paas/bin'), files: { '.paas/bin/python': script } };
}

async function warnings({ view, tools }: PlanContext, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const asked = ((await readText(view, 'runtime.txt')) ?? (await readText(view, '.python-version')) ?? '').trim();
  const wanted = /^(?:python-)?(\d+\.\d+)/.exec(asked)?.[1];
  const present = tools['python3'];
  if (wanted !== undefined && present !== undefined && !`${present}.`.includes(`${wanted}.`)) {
    found.push(`The app asks for Python ${wanted}; the hosts have ${present}.`);
  }
  const lock = firstOf(names, ['poetry.lock', 'uv.lock', 'pdm.lock']);
  if (lock !== undefined && !names.includes('requirements.txt')) {
    found.push(`${lock} is not read: versions are chosen by pyproject.toml. Export a requirements.txt to pin them.`);
  }
  return found;
}
