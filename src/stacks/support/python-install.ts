/** What pip has to install for a Python app, by what the app declares. */
import { PaasError } from '../../shared/errors.ts';
import type { PlanContext } from '../port.ts';
import { readProject } from './python-project.ts';
import { readRequirements } from './python-requirements.ts';
import { projectDependencies, type VenvInstall } from './python-venv.ts';
import { fileNames } from './source.ts';

export interface Installation {
  /** For people: `this app has a requirements.txt`. */
  reason: string;
  steps: VenvInstall[];
  /** Names of what is asked for, normalised; they choose the default command. */
  packages: ReadonlySet<string>;
}

/**
 * requirements.txt before pyproject.toml before setup.py; null when there is nothing to install.
 * @param cacheKey key over all that a step depends on
 * @throws PaasError source_invalid for a Pipfile alone
 */
export async function pythonInstallation(
  { view }: PlanContext,
  cacheKey: (...parts: unknown[]) => string,
): Promise<Installation | null> {
  const names = await fileNames(view);
  if (names.includes('requirements.txt')) {
    const { any, packages, inputs, installsSource } = await readRequirements(view, 'requirements.txt');
    const step: VenvInstall = {
      name: 'pip install -r requirements.txt',
      arguments: '-r requirements.txt',
      fresh: true,
      keepPip: packages.has('pip'),
      ...(installsSource ? {} : { cacheKey: cacheKey('requirements', inputs) }),
    };
    return any ? { reason: 'this app has a requirements.txt', steps: [step], packages } : null;
  }
  const itself = { name: 'pip install .', arguments: '.', keepPip: false };
  const { kind, buildable, packages } = await readProject(view);
  const reason = 'this app has a pyproject.toml';
  if (kind === 'poetry') return { reason, steps: [{ ...itself, fresh: true }], packages };
  if (kind === 'project') {
    const dependencies: VenvInstall = {
      name: 'pip install (dependencies of pyproject.toml)',
      arguments: '-r /dev/stdin',
      requirements: projectDependencies,
      fresh: true,
      keepPip: buildable,
      cacheKey: cacheKey('pyproject', await view.digestOf('pyproject.toml')),
    };
    if (buildable) return { reason, steps: [dependencies, { ...itself, fresh: false }], packages };
    return packages.size === 0 ? null : { reason, steps: [dependencies], packages };
  }
  if (names.includes('setup.py')) {
    return { reason: 'this app has a setup.py', steps: [{ ...itself, fresh: true }], packages: new Set() };
  }
  if (!names.includes('Pipfile')) return null;
  throw new PaasError('source_invalid', 'A Pipfile alone is not read by this platform.', {
    hint: 'Run `pipenv requirements > requirements.txt` and push that with it.',
  });
}
