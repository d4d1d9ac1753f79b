/** How a Python app starts when it does not say. */
import type { SourceView } from '../port.ts';
import { directoryNames, fileNames, firstOf, readText } from './source.ts';

const bind = '0.0.0.0:$PORT';
const hostAndPort = '--host 0.0.0.0 --port $PORT';

/**
 * A server for the framework where both are installed, else `python3` and the main file; undefined when there is none.
 * @param entries names of main files, in order
 * @param packages installed packages, normalised names
 */
export async function pythonCommand(
  view: SourceView,
  entries: readonly string[],
  packages: ReadonlySet<string>,
): Promise<string | undefined> {
  const names = await fileNames(view);
  const sources = names.filter((name) => name.endsWith('.py'));
  if (names.includes('manage.py')) return djangoCommand(view, packages);
  const entry = firstOf(names, entries) ?? (sources.length === 1 ? sources[0] : undefined);
  if (entry === undefined) return undefined;
  const text = (await readText(view, entry)) ?? '';
  const variable = /^(app|application|server|api)\s*(?::[^=]+)?=[^=]/m.exec(text)?.[1];
  const module = entry.slice(0, -'.py'.length);
  if (variable !== undefined) {
    if (packages.has('uvicorn') && /\b(FastAPI|Starlette|Litestar)\(/.test(text)) {
      return `uvicorn ${module}:${variable} ${hostAndPort}`;
    }
    if (packages.has('gunicorn')) return `gunicorn ${module}:${variable} --bind ${bind}`;
    if (packages.has('flask') && !text.includes('__main__')) return `flask --app ${module} run ${hostAndPort}`;
  }
  return `python3 ${entry}`;
}

async function djangoCommand(view: SourceView, packages: ReadonlySet<string>): Promise<string> {
  for (const directory of await directoryNames(view)) {
    const wsgi = packages.has('gunicorn') && (await view.read(`${directory}/wsgi.py`)) !== null;
    if (wsgi) return `gunicorn ${directory}.wsgi --bind ${bind}`;
  }
  return `python3 manage.py runserver ${bind}`;
}
