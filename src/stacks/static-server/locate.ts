/** From the target of a request to a file of the site. */
import { realpath, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join, sep } from 'node:path';
import { errnoOf } from '../../shared/errors.ts';

export interface SiteFile {
  /** Path with all links resolved; inside the root. */
  path: string;
  stats: Stats;
}

export type Located =
  | { kind: 'file'; file: SiteFile; segments: string[] }
  | { kind: 'redirect'; to: string }
  | { kind: 'missing'; segments: string[] }
  | { kind: 'bad' };

/** Settings of the platform that lie in the root of a site which is served from there. */
const privateFiles = new Set(['Staticfile', 'Staticfile.auth', 'Procfile', 'paas.yml', 'paas.yaml', 'manifest.yml']);

/**
 * Names that begin with a dot are not served, but for `.well-known` (RFC 8615). A directory is its index.html; without
 * the slash at its end it is a redirect, so that relative links in it work.
 * @param root the site's directory, links resolved
 * @param target of the request line: `/a/b?c`, or in absolute form
 */
export async function locate(root: string, target: string): Promise<Located> {
  const { path, query } = splitTarget(target);
  const decoded = decode(path);
  if (decoded === null || !decoded.startsWith('/') || decoded.includes('\0')) return { kind: 'bad' };
  const segments = decoded.split('/').filter((segment) => segment !== '');
  if (segments.some(isHidden) || (segments.length === 1 && privateFiles.has(segments[0] ?? ''))) {
    return { kind: 'missing', segments };
  }
  const found = await statInside(root, join(root, ...segments));
  if (found?.stats.isDirectory() === true) {
    if (!decoded.endsWith('/')) return { kind: 'redirect', to: `/${path.replace(/^\/+/, '')}/${query}` };
    const index = await fileInside(root, join(found.path, 'index.html'));
    return index === null ? { kind: 'missing', segments } : { kind: 'file', file: index, segments };
  }
  if (found?.stats.isFile() !== true || decoded.endsWith('/')) return { kind: 'missing', segments };
  return { kind: 'file', file: found, segments };
}

/** A plain file, or null when it is none or lies outside of `root` once its links are followed. */
export async function fileInside(root: string, path: string): Promise<SiteFile | null> {
  const found = await statInside(root, path);
  return found?.stats.isFile() === true ? found : null;
}

async function statInside(root: string, path: string): Promise<SiteFile | null> {
  try {
    const real = await realpath(path);
    if (real !== root && !real.startsWith(root === sep ? sep : root + sep)) return null;
    return { path: real, stats: await stat(real) };
  } catch (error) {
    // Not there, not reachable or not readable: to a visitor it is all the same.
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'].includes(errnoOf(error) ?? '')) return null;
    throw error;
  }
}

function splitTarget(target: string): { path: string; query: string } {
  // Absolute form (RFC 9112, 3.2.2).
  const relative = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '');
  const at = relative.indexOf('?');
  return at === -1 ? { path: relative, query: '' } : { path: relative.slice(0, at), query: relative.slice(at) };
}

function decode(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

function isHidden(segment: string): boolean {
  return segment.startsWith('.') && segment !== '.well-known';
}
