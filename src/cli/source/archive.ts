/** Archives as sources: tar, tar.gz and zip, told apart by their content. A jar or war is pushed as the one file it is. */
import { constants } from 'node:fs';
import { copyFile, open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { ArchiveGuard, defaultArchiveLimits, type ArchiveLimits } from './archive-guard.ts';
import { inTemporary } from './temporary.ts';
import type { Source } from './types.ts';

/**
 * Unpacks an archive into a private directory. What is in it stays where it is: also a single directory at the top (as
 * archives of GitHub have) is not entered, but a notice says so.
 * @param file absolute path of a regular file
 * @throws PaasError `source_invalid` (names the entry), `too_large` (names the limit)
 */
export async function openArchive(file: string, limits: Partial<ArchiveLimits> = {}): Promise<Source> {
  const name = basename(file);
  const { size } = await stat(file);
  const guard = new ArchiveGuard(name, size, { ...defaultArchiveLimits, ...limits });
  const format = /\.[jw]ar$/i.test(name) ? 'single' : await formatOf(file);
  const { directory, dispose } = await inTemporary(async (into) => {
    if (format === 'single') await copyFile(file, join(into, name), constants.COPYFILE_FICLONE);
    else if (format === 'zip') await (await import('./archive-zip.ts')).unpackZip(file, into, guard);
    else await (await import('./archive-tar.ts')).unpackTar(file, format === 'gzip', into, guard);
  });
  const top = guard.top();
  const notices =
    top.length === 1 && top[0]!.type === 'dir'
      ? [`${name} holds a single directory, ${top[0]!.name}/: the app's files are expected at its top, not below it.`]
      : [];
  return { directory, name, temporary: true, provenance: { kind: 'archive', url: name }, notices, dispose };
}

async function formatOf(file: string): Promise<'zip' | 'gzip' | 'tar'> {
  const handle = await open(file, 'r');
  const head = Buffer.alloc(512);
  try {
    await handle.read(head, 0, head.length, 0);
  } finally {
    await handle.close();
  }
  const begins = (...bytes: number[]): boolean => bytes.every((byte, i) => head[i] === byte);
  if (begins(0x50, 0x4b, 3, 4) || begins(0x50, 0x4b, 5, 6)) return 'zip';
  if (begins(0x1f, 0x8b)) return 'gzip';
  if (head.toString('latin1', 257, 262) === 'ustar') return 'tar';
  const other = begins(0x42, 0x5a, 0x68)
    ? 'bzip2'
    : begins(0xfd, 0x37, 0x7a)
      ? 'xz'
      : begins(0x28, 0xb5, 0x2f, 0xfd)
        ? 'zstd'
        : undefined;
  const what = other === undefined ? 'is neither a directory nor an archive' : `is compressed with ${other}`;
  throw new PaasError('source_invalid', `${basename(file)} ${what}.`, {
    hint: 'Name a directory, a .tar, .tar.gz or .zip archive, or a .jar.',
  });
}
