/** pyproject.toml, as far as planning goes by it; pip reads it in full when it builds. */
import type { SourceView } from '../port.ts';
import { normalName } from './python-requirements.ts';
import { readText } from './source.ts';

export interface PythonProject {
  /** `project`: a [project] table (PEP 621); `poetry`: Poetry's own tables; `none`: settings of tools only, or no file. */
  kind: 'project' | 'poetry' | 'none';
  /** It has a [build-system], so it is a package that gets installed itself. */
  buildable: boolean;
  /** Names of dependencies, normalised. In Poetry's tables any key counts: good enough to choose a default command by. */
  packages: Set<string>;
}

export async function readProject(view: SourceView): Promise<PythonProject> {
  const text = (await readText(view, 'pyproject.toml')) ?? '';
  const has = (table: string): boolean => new RegExp(`^\\s*\\[${table}\\]`, 'm').test(text);
  const buildable = has('build-system');
  const named = (pattern: RegExp, within: string): Set<string> =>
    new Set([...within.matchAll(pattern)].map((match) => normalName(match[1] ?? '')));
  if (has('project')) {
    const list = /^\s*dependencies\s*=\s*\[([\s\S]*?)\]\s*(?:#.*)?$/m.exec(text)?.[1] ?? '';
    return { kind: 'project', buildable, packages: named(/["']\s*([A-Za-z0-9._-]+)/g, list) };
  }
  if (has('tool\\.poetry')) return { kind: 'poetry', buildable, packages: named(/^([A-Za-z0-9._-]+)\s*=/gm, text) };
  return { kind: buildable ? 'project' : 'none', buildable, packages: new Set() };
}
