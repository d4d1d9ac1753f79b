/** What a local directory's git says about it, read from its files: starting git would cost more than the whole walk. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/**
 * Branch and commit of the work tree that `directory` lies in; undefined if it lies in none. Best effort: what cannot be
 * read (a newer repository format) is left out.
 */
export function workTree(directory: string): { ref?: string; commit?: string } | undefined {
  const dotGit = findUp(directory);
  if (dotGit === undefined) return undefined;
  try {
    const gitDirectory = statSync(dotGit).isDirectory()
      ? dotGit
      : resolve(dirname(dotGit), text(dotGit).replace(/^gitdir:\s*/, ''));
    const head = text(join(gitDirectory, 'HEAD'));
    const branch = /^ref: (.+)$/.exec(head)?.[1];
    const commit = branch === undefined ? head : commitOf(gitDirectory, branch);
    return {
      ...(branch === undefined ? {} : { ref: branch.replace(/^refs\/heads\//, '') }),
      ...(commit !== undefined && /^[0-9a-f]{40,64}$/.test(commit) ? { commit } : {}),
    };
  } catch {
    return undefined; // a repository that cannot be read is no reason not to push its files
  }
}

const text = (file: string): string => readFileSync(file, 'utf8').trim();

function findUp(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const candidate = join(at, '.git');
    if (existsSync(candidate)) return candidate;
    if (at === dirname(at)) return undefined;
  }
}

function commitOf(gitDirectory: string, ref: string): string | undefined {
  const common = join(gitDirectory, 'commondir');
  const shared = existsSync(common) ? resolve(gitDirectory, text(common)) : gitDirectory;
  for (const place of [gitDirectory, shared]) if (existsSync(join(place, ref))) return text(join(place, ref));
  const packed = join(shared, 'packed-refs');
  if (!existsSync(packed)) return undefined;
  const line = text(packed)
    .split('\n')
    .find((candidate) => candidate.endsWith(` ${ref}`));
  return line?.split(' ')[0];
}
