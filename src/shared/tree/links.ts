import { PaasError } from '../errors.ts';

/**
 * Refuses a symbolic link that points out of the tree. Absolute targets are refused even where they happen to lie
 * inside: on the host the tree has another place.
 * @param path the link's own path in the tree, segments joined by `/`
 * @param target its target text
 * @throws PaasError `source_invalid` that names the link
 */
export function checkLink(path: string, target: string): void {
  const problem = linkProblem(path, target);
  if (problem === undefined) return;
  throw new PaasError('source_invalid', `The symbolic link ${JSON.stringify(path)} ${problem}.`, {
    hint: 'Replace it by a relative link to something in the source, by a copy, or exclude it in .paasignore.',
    details: { path, target },
  });
}

/** What is wrong with a link, worded to follow "the symbolic link"; undefined when it stays inside. */
export function linkProblem(path: string, target: string): string | undefined {
  if (target === '') return 'has an empty target';
  if (target.includes('\0')) return 'has a target with NUL in it';
  if (target.startsWith('/') || target.startsWith('\\') || /^[A-Za-z]:[\\/]/.test(target))
    return `has an absolute target (${JSON.stringify(target)})`;
  let depth = path.split('/').length - 1;
  for (const segment of target.split('/')) {
    if (segment === '' || segment === '.') continue;
    depth += segment === '..' ? -1 : 1;
    if (depth < 0) return `points out of the source (${JSON.stringify(target)})`;
  }
  return undefined;
}
