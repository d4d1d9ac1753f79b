/** From a directory to a tree: shared/tree's walk under the ignore rules, with the cache of the last one. */
import { freemem } from 'node:os';
import { PaasError } from '../../shared/errors.ts';
import { decodeDirectory, type TreeEntry } from '../../shared/tree/directory.ts';
import { walkTree, type WalkedTree } from '../../shared/tree/walk.ts';
import { sourceRules } from './ignore-rules.ts';
import { StatCache } from './stat-cache.ts';
import type { Source } from './types.ts';

/** So much of what was read is kept until it is sent: a first push then reads everything once, not twice. */
const retainBytes = (): number => Math.min(256 * 1024 * 1024, freemem() / 4);

export interface WalkSourceOptions {
  /** PAAS_HOME, where the stat cache is; without it, nothing is cached. */
  home?: string;
  /** Reads everything, whatever the cache says. */
  fresh?: boolean;
  /** The content is going to be sent, so keep it in memory as far as it fits. */
  sending?: boolean;
  signal?: AbortSignal;
  onProgress?: (files: number, hashedBytes: number) => void;
}

/**
 * Hashes a source into a tree.
 * @throws PaasError `source_invalid` for paths that cannot be packaged or when there is nothing to push,
 *   `source_changed`, `interrupted`
 */
export async function walkSource(source: Source, options: WalkSourceOptions = {}): Promise<WalkedTree> {
  const { directory } = source;
  // What was unpacked for this push alone will never be walked again.
  const cache = options.home !== undefined && !source.temporary ? StatCache.open(options.home, directory) : undefined;
  const tree = await walkTree(directory, {
    rules: sourceRules(directory, { git: !source.temporary }),
    retainBytes: options.sending === true ? retainBytes() : 0,
    ...(cache && options.fresh !== true ? { cache } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
  if (tree.files === 0)
    throw new PaasError('source_invalid', `There is nothing to push in ${source.name}: it holds no files.`, {
      hint: 'Name another directory with --path, or look at the ignore files.',
    });
  if (tree.learned) cache?.save(tree.directories);
  return tree;
}

/** Files and links of a tree by path, made when somebody asks. */
export function filesOf(tree: WalkedTree): Map<string, Pick<TreeEntry, 'kind' | 'mode' | 'size' | 'digest'>> {
  const files = new Map<string, Pick<TreeEntry, 'kind' | 'mode' | 'size' | 'digest'>>();
  for (const { path, object } of tree.directories) {
    const prefix = path === '' ? '' : `${path}/`;
    for (const { name, ...entry } of decodeDirectory(object)) if (entry.kind !== 'dir') files.set(prefix + name, entry);
  }
  return files;
}
