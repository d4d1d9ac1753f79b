/** Paths below a build's work directory, whose content the app's own commands made: no link in it may lead out. */
import { lstatSync, mkdirSync, rmSync, writeFileSync, chmodSync, lchownSync } from 'node:fs';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { removeTreeSync } from '../remove-tree.ts';
import type { Owner } from '../runtimes/port.ts';

/** @throws PaasError `bad_request` for a path that is absolute, empty, or has `.`, `..` or NUL in it */
export function relativeSegments(path: string): string[] {
  const segments = path.split('/');
  const bad = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
  if (bad || path.includes('\0'))
    throw new PaasError('bad_request', `${JSON.stringify(path)} is not a path in the app`);
  return segments;
}

/** The absolute path, or undefined when something on the way to it is missing or no directory (a link, too). */
export function insidePath(root: string, path: string): string | undefined {
  const segments = relativeSegments(path);
  let at = root;
  for (const segment of segments.slice(0, -1)) {
    at = join(at, segment);
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  }
  return join(at, segments.at(-1)!);
}

/** The absolute path, whose parents are made; what is in the way (a file, a link) is removed, and so is the path itself. */
export function clearPlace(root: string, path: string, owner: Owner): string {
  const segments = relativeSegments(path);
  let at = root;
  for (const segment of segments.slice(0, -1)) {
    at = join(at, segment);
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    rmSync(at, { force: true });
    mkdirSync(at, 0o755);
    if (owner) lchownSync(at, owner.uid, owner.gid);
  }
  const place = join(at, segments.at(-1)!);
  removeTreeSync(place);
  return place;
}

/** Writes the files that a stack adds to the app. */
export function writeFiles(
  root: string,
  files: Readonly<Record<string, { text: string; mode: number }>>,
  owner: Owner,
): void {
  for (const [path, { text, mode }] of Object.entries(files)) {
    const place = clearPlace(root, path, owner);
    writeFileSync(place, text, { flag: 'wx' });
    chmodSync(place, mode & 0o777);
    if (owner) lchownSync(place, owner.uid, owner.gid);
  }
}
