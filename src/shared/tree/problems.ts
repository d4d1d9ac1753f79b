/** Errors that name the paths they are about. */
import { errnoOf, PaasError } from '../errors.ts';

export interface RefusedPath {
  path: string;
  reason: string;
}

/** How many paths a message names; `details` has all of them, up to a hundred. */
const shownPaths = 10;

const more = (count: number): string => (count > shownPaths ? `\n  … and ${count - shownPaths} more` : '');

/** Throws `source_invalid` that names what cannot be packaged and why, if there is anything. */
export function throwRefused(refused: readonly RefusedPath[]): void {
  if (refused.length === 0) return;
  const lines = refused.slice(0, shownPaths).map(({ path, reason }) => `\n  ${JSON.stringify(path)}: ${reason}`);
  const what = refused.length === 1 ? 'One path' : `${refused.length} paths`;
  throw new PaasError(
    'source_invalid',
    `${what} of the source cannot be packaged:${lines.join('')}${more(refused.length)}`,
    {
      hint: 'Correct each, or exclude it in .paasignore.',
      details: { paths: refused.slice(0, 100) },
    },
  );
}

export function throwChanged(paths: readonly string[], tries: number): never {
  const lines = paths.slice(0, shownPaths).map((path) => `\n  ${JSON.stringify(path)}`);
  throw new PaasError(
    'source_changed',
    `Something writes to the source: these changed each of the ${tries} times they were read:${lines.join('')}${more(paths.length)}`,
    { details: { paths: paths.slice(0, 100) } },
  );
}

/** Why the file system refused something, in a few words. */
export function reasonOf(error: unknown): string {
  if (error instanceof PaasError) return error.message;
  const errno = errnoOf(error);
  if (errno === 'EACCES' || errno === 'EPERM') return 'permission denied';
  if (errno === 'ENAMETOOLONG') return 'its path is too long';
  if (errno === undefined) throw error;
  return `it cannot be read (${errno})`;
}
