/** Entity tags by content. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { SiteFile } from './locate.ts';

const maxHashedBytes = 64 * 1024 * 1024;
const maxEntries = 10_000;

/**
 * Tags of files. Made from content, not from modification times: those are the time of the instance's start, so they
 * differ between instances that serve the same file, and say nothing about whether a new release changed it. (For the
 * same reason there is no Last-Modified.) Very large files are tagged by size and change time.
 */
export class EntityTags {
  readonly #known = new Map<string, { version: string; tag: Promise<string> }>();

  /** A strong entity tag, with its quotes. */
  async of({ path, stats }: SiteFile): Promise<string> {
    const version = `${stats.size.toString(36)}-${stats.ctimeMs.toString(36)}-${stats.ino.toString(36)}`;
    if (stats.size > maxHashedBytes) return `"${version}"`;
    const known = this.#known.get(path);
    if (known?.version === version) return known.tag;
    const tag = hashFile(path);
    this.#remember(path, { version, tag });
    try {
      return await tag;
    } catch (error) {
      this.#known.delete(path);
      throw error;
    }
  }

  #remember(path: string, entry: { version: string; tag: Promise<string> }): void {
    const oldest = this.#known.keys().next();
    if (this.#known.size >= maxEntries && oldest.done !== true) this.#known.delete(oldest.value);
    this.#known.set(path, entry);
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return `"${hash.digest('base64url').slice(0, 27)}"`;
}
