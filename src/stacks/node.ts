/**
 * Node. Built as Heroku builds it: install with development dependencies where there is something to build, then
 * `heroku-postbuild` or else `build`, then prune; NODE_ENV=production throughout.
 */
import satisfies from 'semver/functions/satisfies.js';
import type { BuildCommand } from '../shared/contracts/steps.ts';
import type { BuildPlan, PlanContext, SourceView, Stack } from './port.ts';
import { cacheKey } from './support/keys.ts';
import { pathLine } from './support/launch.ts';
import {
  hasDevDependencies,
  hasProductionDependencies,
  installFields,
  isInstallRepeatable,
  lifecycleScripts,
  localDependencies,
  readManifest,
  type PackageManifest,
} from './support/node-manifest.ts';
import { chooseInstaller, hasVendoredModules, installInputs, type Installer } from './support/node-packages.ts';
import { emptyPlan, ownBuild, webCommand } from './support/plan.ts';
import { fileNames, firstOf } from './support/source.ts';

/** Programs of packages (`next`, `tsc`) are found by their names, as in npm's scripts. */
const packagePrograms = pathLine('node_modules/.bin');

const buildEnv = { NODE_ENV: 'production', HUSKY: '0' };

export const node: Stack = {
  name: 'node',
  version: 1,
  looksFor: 'package.json',

  async detect({ view }) {
    return (await view.read('package.json')) === null ? null : { reason: 'package.json', confidence: 'sure' };
  },

  async plan(context) {
    const { view } = context;
    const manifest = await readManifest(view);
    const installer = await chooseInstaller(view);
    const commands = await recipe(context, manifest, installer);
    const command = await startCommand(view, manifest);
    const usesManager = commands.length > 0 && (context.app.build === undefined || commands.length > 1);
    const plan: BuildPlan = {
      ...emptyPlan(
        'Add `scripts.start` to package.json or a Procfile (`web: …`). A site that is only files once it is built wants `stack: static`.',
      ),
      commands,
      defaultProcesses: webCommand(command),
      env: { NODE_ENV: 'production' },
      needs: [{ tool: 'node', reason: 'this is a Node app' }],
      warnings: warnings(context, manifest, installer),
    };
    if (usesManager) {
      plan.needs.push({ tool: installer.tool, reason: `this app has a ${installer.lock ?? 'package.json'}` });
      plan.sharedCaches = { [installer.tool]: installer.cacheVariable };
    }
    if (command === 'npm start' && !plan.needs.some(({ tool }) => tool === 'npm')) {
      plan.needs.push({ tool: 'npm', reason: 'this app starts with `npm start`' });
    }
    if (usesManager || (await hasVendoredModules(view))) plan.profile = packagePrograms;
    return plan;
  },
};

async function recipe(context: PlanContext, manifest: PackageManifest, installer: Installer): Promise<BuildCommand[]> {
  const { view, app } = context;
  const env = { ...buildEnv, ...installer.env };
  const run = (line: string): BuildCommand => ({ name: line, run: line, env });
  const script = (name: string): BuildCommand[] =>
    Object.hasOwn(manifest.scripts, name) ? [run(`${installer.tool} run ${name}`)] : [];

  const scripted = Object.hasOwn(manifest.scripts, 'heroku-postbuild') ? script('heroku-postbuild') : script('build');
  const own = ownBuild(app, packagePrograms).map((command) => ({ ...command, env }));
  const build = own.length > 0 ? own : scripted;
  const lifecycle = lifecycleScripts(manifest).length > 0;
  const withDev = hasDevDependencies(manifest) && (build.length > 0 || lifecycle);

  const install: BuildCommand[] = [];
  if (hasProductionDependencies(manifest) || withDev || lifecycle) {
    if (installer.lock === undefined && (await hasVendoredModules(view))) {
      install.push(run('npm rebuild'));
    } else {
      const line = withDev ? installer.installAll : installer.installProduction;
      const cache = await nodeModulesCache(context, manifest, installer, line);
      install.push({ ...run(line), ...(cache === undefined ? {} : { cache }) });
    }
  }
  const prune = withDev ? [run(installer.prune)] : [];
  return [...script('heroku-prebuild'), ...install, ...build, ...prune, ...script('heroku-cleanup')];
}

async function nodeModulesCache(
  context: PlanContext,
  manifest: PackageManifest,
  installer: Installer,
  line: string,
): Promise<BuildCommand['cache']> {
  if (!isInstallRepeatable(manifest)) return undefined;
  const archives = await Promise.all(localDependencies(manifest).map((path) => context.view.digestOf(path)));
  const inputs = await installInputs(context.view, installer);
  const key = cacheKey(node, context, ['node', installer.tool], [line, installFields(manifest), inputs, archives]);
  return { key, paths: ['node_modules'] };
}

/**
 * `npm start`, or, where that is nothing but `node` and plain words, those words themselves: without npm and a shell in
 * between the app gets SIGTERM first-hand and starts faster. (It then has no npm_* variables.)
 */
async function startCommand(view: SourceView, { scripts, main }: PackageManifest): Promise<string | undefined> {
  const start = scripts['start'];
  if (start !== undefined) {
    const hooked = Object.hasOwn(scripts, 'prestart') || Object.hasOwn(scripts, 'poststart');
    return !hooked && /^node( [A-Za-z0-9_./=:@,+-]+)+$/.test(start) ? start : 'npm start';
  }
  const names = await fileNames(view);
  if (names.includes('server.js')) return 'node server.js';
  if (main !== undefined && /^[A-Za-z0-9_./-]+$/.test(main) && (await view.read(main)) !== null) return `node ${main}`;
  const entry = firstOf(names, ['server.mjs', 'server.cjs', 'app.js', 'app.mjs', 'main.js', 'index.js', 'index.mjs']);
  return entry === undefined ? undefined : `node ${entry}`;
}

function warnings({ tools }: PlanContext, manifest: PackageManifest, installer: Installer): string[] {
  const found: string[] = [];
  const { engines } = manifest;
  const wanted = engines === undefined || Array.isArray(engines) ? undefined : engines['node'];
  const present = tools['node'];
  if (wanted !== undefined && present !== undefined && !satisfies(present, wanted, { includePrerelease: true })) {
    found.push(`package.json asks for Node ${wanted}; the hosts have ${present.replace(/^v/, '')}.`);
  }
  if (installer.lock === undefined && hasProductionDependencies(manifest)) {
    found.push('No lock file: versions of dependencies may change from build to build. Commit package-lock.json.');
  }
  return found;
}
