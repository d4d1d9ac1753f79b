import { createWriteStream } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { PaasError } from '../../shared/errors.ts';
import type { ArchiveEntryType, ArchiveGuard } from './archive-guard.ts';

const longestTarget = 4096;

/** Unpacks a zip into an empty directory. Links come last, so that nothing can be written through one. */
export async function unpackZip(file: string, into: string, guard: ArchiveGuard): Promise<void> {
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(file, { autoClose: false, validateEntrySizes: true });
    const links: { path: string; target: string }[] = [];
    const made = new Set(['.']);
    const makeDirectory = async (path: string): Promise<void> => {
      if (made.has(path)) return;
      await mkdir(join(into, path), { recursive: true });
      made.add(path);
    };
    for await (const entry of zip.eachEntry()) {
      const name = nameOf(entry);
      const { type, executable } = kindOf(entry, name, guard);
      if (type === 'link') {
        if (entry.uncompressedSize > longestTarget) throw guard.refuse(name, 'is a link with a target too long');
        const target = (await buffer(await zip.openReadStreamPromise(entry))).toString();
        links.push({ path: guard.admit(name, type, 0, target), target });
        continue;
      }
      const path = guard.admit(name, type, entry.uncompressedSize);
      if (type === 'dir') {
        await makeDirectory(path === '' ? '.' : path);
        continue;
      }
      await makeDirectory(dirname(path));
      const mode = executable ? 0o755 : 0o644;
      await pipeline(
        await zip.openReadStreamPromise(entry),
        createWriteStream(join(into, path), { flags: 'wx', mode }),
      );
    }
    for (const { path, target } of links) {
      await makeDirectory(dirname(path));
      await symlink(target, join(into, path));
    }
  } catch (error) {
    throw error instanceof PaasError ? error : guard.damaged(error);
  } finally {
    zip?.close();
  }
}

const isUnix = ({ versionMadeBy }: Entry): boolean => versionMadeBy >>> 8 === 3 || versionMadeBy >>> 8 === 19;

/**
 * The entry's name. By the letter of the format a name that is not marked as UTF-8 is in code page 437, but `zip` on Unix
 * writes the bytes of the name as they are, unmarked where the locale is C.
 */
function nameOf(entry: Entry): string {
  const marked = (entry.generalPurposeBitFlag & 0x800) !== 0 || entry.extraFields.some(({ id }) => id === 0x7075);
  const raw = entry.fileNameRaw;
  const text = raw.toString();
  return !marked && isUnix(entry) && Buffer.from(text).equals(raw) ? text : entry.fileName;
}

/** Unix attributes where the archive has them (made on Unix or macOS); a zip from Windows has neither modes nor links. */
function kindOf(entry: Entry, name: string, guard: ArchiveGuard): { type: ArchiveEntryType; executable: boolean } {
  if (entry.isEncrypted()) throw guard.refuse(name, 'is encrypted');
  if (!entry.canDecodeFileData()) throw guard.refuse(name, 'is compressed in a way that is not supported');
  const mode = isUnix(entry) ? entry.externalFileAttributes >>> 16 : 0;
  const executable = (mode & 0o100) !== 0;
  switch (mode & 0o170000) {
    case 0:
    case 0o100000:
      return { type: name.endsWith('/') ? 'dir' : 'file', executable };
    case 0o040000:
      return { type: 'dir', executable };
    case 0o120000:
      return { type: 'link', executable };
    default:
      throw guard.refuse(name, 'is a socket, pipe or device');
  }
}
