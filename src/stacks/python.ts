/** Python: dependencies in a virtual environment of the app's own; an app that has none is not built at all. */
import type { BuildCommand } from '../shared/contracts/steps.ts';
import type { BuildPlan, PlanContext, Stack } from './port.ts';
import { cacheKey } from './support/keys.ts';
import { pathLine } from './support/launch.ts';
import { pythonCommand } from './support/python-command.ts';
import { pythonInstallation, type Installation } from './support/python-install.ts';
import { readProject } from './support/python-project.ts';
import { venvInstall, venvProfile } from './support/python-venv.ts';
import { emptyPlan, ownBuild, webCommand } from './support/plan.ts';
import { fileNames, firstOf, givenCommands, readText } from './support/source.ts';

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
    const install = await pythonInstallation(context, (...parts) => cacheKey(python, context, ['python3'], parts));
    const names = await fileNames(view);
    const profile = await profileFor(context, install !== null);
    const plan: BuildPlan = {
      ...emptyPlan('Add a Procfile (`web: python3 app.py`), or name the main file app.py, main.py or server.py.'),
      needs: needs(install),
      commands: install === null ? [] : install.steps.map(venvInstall),
      sharedCaches: install === null ? {} : { pip: 'PIP_CACHE_DIR' },
      defaultProcesses: webCommand(await pythonCommand(view, entries, install?.packages ?? new Set())),
      files: profile.files,
      profile: profile.lines,
      env: { PYTHONUNBUFFERED: '1', LANG: 'C.UTF-8' },
      warnings: await warnings(context, names),
    };
    if (names.includes('manage.py') && install?.packages.has('django') === true) plan.commands.push(collectStatic);
    plan.commands.push(...ownBuild(app, install === null ? pythonByName : venvProfile));
    return plan;
  },
};

/** For `build:` of an app without an environment, on hosts that only know python3. */
const pythonByName = 'command -v python >/dev/null || python() { python3 "$@"; }';

function needs(install: Installation | null): BuildPlan['needs'] {
  if (install === null) return [{ tool: 'python3', reason: 'this is a Python app' }];
  // Debian has the venv module in a package of its own, so it is a tool of its own.
  return ['python3', 'python3-venv'].map((tool) => ({ tool, reason: install.reason }));
}

/** As Heroku: run where it can succeed; DISABLE_COLLECTSTATIC=1 turns it off. */
const collectStatic: BuildCommand = {
  name: 'collectstatic',
  run: `${venvProfile}
if [ "\${DISABLE_COLLECTSTATIC:-0}" = 1 ]; then
  echo 'DISABLE_COLLECTSTATIC is set.'
elif python3 manage.py collectstatic --dry-run --noinput >/dev/null 2>&1; then
  python3 manage.py collectstatic --noinput
else
  echo 'Skipped: this app is not set up for collectstatic (try: python3 manage.py collectstatic --dry-run).'
fi`,
  env: {},
};

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
