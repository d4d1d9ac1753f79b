/** Whether all that a tree reaches is in the store. */
import { setImmediate } from 'node:timers/promises';
import { PaasError } from '../../shared/errors.ts';
import type { TreeEntry } from '../../shared/tree/directory.ts';
import type { Objects } from './objects.ts';
import type { MissingObject, TreeSummary } from './port.ts';

/** Deeper trees cannot be laid out on a disk (paths end at 4096 bytes), and would be an attack. */
const maxDepth = 1000;
const rememberedTrees = 200_000;
const sliceMs = 20;

export interface Completeness {
  /** What the tree holds; counts only what is there when something is missing. */
  summary: TreeSummary;
  missing: MissingObject[];
}

interface Visit extends TreeSummary {
  digest: string;
  path: string;
  entries: TreeEntry[];
  next: number;
  complete: boolean;
}

/** Remembers which trees are complete, so that a push that changed one directory costs one directory. */
export class CompletenessCheck {
  readonly #objects: Objects;
  readonly #complete = new Map<string, TreeSummary>();
  #removals = 0;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** @param limit how many missing objects to look for before giving up */
  async check(root: string, limit: number): Promise<Completeness> {
    for (;;) {
      const { removals } = this.#objects.index;
      if (removals !== this.#removals || this.#complete.size > rememberedTrees) this.#complete.clear();
      this.#removals = removals;
      const result = await this.#walk(root, limit);
      // Something was removed or found damaged meanwhile: what was seen before may not be true any more.
      if (result.missing.length > 0 || removals === this.#objects.index.removals) return result;
    }
  }

  async #walk(root: string, limit: number): Promise<Completeness> {
    const missing: MissingObject[] = [];
    const known = this.#complete.get(root);
    if (known) return { summary: known, missing };
    const first = this.#enter(root, '', missing);
    if (!first) return { summary: { files: 0, bytes: 0, depth: 0 }, missing };
    const stack = [first];
    const seen = new Set<string>();
    let restedAt = performance.now();
    for (let top = stack.at(-1)!; ; top = stack.at(-1)!) {
      const entry = top.entries[top.next++];
      if (!entry) {
        stack.pop();
        const { files, bytes, depth } = top;
        if (top.complete) this.#complete.set(top.digest, { files, bytes, depth });
        const parent = stack.at(-1);
        if (!parent) return { summary: { files, bytes, depth }, missing };
        add(parent, top);
        if (!top.complete) parent.complete = false;
        continue;
      }
      if (missing.length >= limit) return { summary: top, missing };
      const path = top.path === '' ? entry.name : `${top.path}/${entry.name}`;
      if (entry.kind !== 'dir') {
        top.files++;
        top.bytes += entry.size;
      }
      if (!this.#has(entry)) {
        top.complete = false;
        if (!seen.has(entry.digest)) missing.push({ digest: entry.digest, path });
        seen.add(entry.digest);
        continue;
      }
      if (entry.kind !== 'dir') continue;
      const summary = this.#complete.get(entry.digest);
      if (summary) {
        add(top, summary);
        continue;
      }
      if (stack.length >= maxDepth)
        throw new PaasError('too_large', `The tree is deeper than ${maxDepth} directories.`);
      const child = seen.has(entry.digest) ? undefined : this.#enter(entry.digest, path, missing);
      seen.add(entry.digest);
      if (child) stack.push(child);
      else top.complete = false;
      if (performance.now() - restedAt > sliceMs) {
        await setImmediate();
        restedAt = performance.now();
      }
    }
  }

  #has({ digest, size }: TreeEntry): boolean {
    const { index } = this.#objects;
    const place = index.find(digest);
    return place >= 0 && index.sizeOf(place) === size;
  }

  #enter(digest: string, path: string, missing: MissingObject[]): Visit | undefined {
    try {
      const entries = this.#objects.directory(digest);
      return { digest, path, entries, next: 0, complete: true, files: 0, bytes: 0, depth: 0 };
    } catch (error) {
      if (!(error instanceof PaasError) || (error.code !== 'not_found' && error.code !== 'corrupt')) throw error;
      missing.push({ digest, path });
      return undefined;
    }
  }
}

function add(parent: TreeSummary, child: TreeSummary): void {
  parent.files += child.files;
  parent.bytes += child.bytes;
  parent.depth = Math.max(parent.depth, child.depth + 1);
}
