/**
 * Mark and sweep. What stays: all that live roots, leases and the directories of young packs reach. What goes: whole
 * packs without a live object, and packs that are mostly dead, after their live objects were copied to a new pack.
 *
 * A kill at any point loses nothing: a copy is complete, synced and renamed before its originals are deleted, a pack is
 * deleted by one unlink, and dead objects that come back with a restart are collected the next time.
 */
import type { Leases } from './leases.ts';
import { Marking } from './marking.ts';
import type { ObjectPlace } from './object-index.ts';
import type { Objects } from './objects.ts';
import { bytesInPack, type PackFile } from './pack-files.ts';
import type { Collected } from './port.ts';

/** Packs with fewer live bytes than this share are rewritten. */
const liveShare = 0.5;
/** So are small packs, once there are many: each costs a file and a read at every start. */
const smallPackBytes = 1024 * 1024;
const manySmallPacks = 64;
/** A rewritten pack does not become larger than this, unless by one object. */
const rewriteBytes = 512 * 1024 * 1024;

export interface Collection {
  objects: Objects;
  leases: Leases;
  liveRoots: AsyncIterable<string> | Iterable<string>;
  /** Packs born later are left alone. */
  bornBefore: number;
  /** Writes a pack of these objects, durably, without making it visible in the index. */
  write: (places: ObjectPlace[], bornAt: number) => Promise<WrittenPack>;
}

export interface WrittenPack {
  pack: PackFile;
  /** New places, in the order of the question; undefined for objects that turned out to be damaged. */
  places: (ObjectPlace | undefined)[];
}

type Swept = Pick<Collected, 'damaged' | 'removedObjects' | 'freedBytes' | 'skipped'>;

export async function markAndSweep(collection: Collection): Promise<Swept> {
  const { objects, bornBefore } = collection;
  const { index, files } = objects;
  const marking = new Marking(objects);
  for await (const root of collection.liveRoots) await marking.closure(root, true);
  if (marking.damaged.length > 0)
    return { skipped: 'damaged', damaged: [...new Set(marking.damaged)], removedObjects: 0, freedBytes: 0 };
  let before = '';
  do {
    before = stateOf(collection);
    await markYoung(collection, marking);
  } while (before !== stateOf(collection));

  // Until the next await nothing else runs, so no new lease can rely on what is condemned here.
  const old = new Map(files.all().flatMap((pack) => (pack.bornAt < bornBefore ? [[pack.number, pack]] : [])));
  const live = new Map<number, number>();
  for (let entry = 0; entry < index.length; entry++) {
    const pack = index.packOf(entry);
    if (index.isGone(entry) || !old.has(pack) || !marking.has(entry)) continue;
    live.set(pack, (live.get(pack) ?? 0) + bytesInPack(index.sizeOf(entry)));
  }
  const dead = [...old.values()].filter((pack) => !live.has(pack.number));
  const rewritten = worthRewriting(
    [...old.values()].filter((pack) => live.has(pack.number)),
    live,
  );
  const condemned = new Set([...dead, ...rewritten].map((pack) => pack.number));
  const moving: ObjectPlace[] = [];
  let removedObjects = 0;
  for (let entry = 0; entry < index.length; entry++) {
    if (index.isGone(entry) || !condemned.has(index.packOf(entry))) continue;
    if (marking.has(entry)) {
      moving.push(index.place(entry));
    } else {
      index.drop(entry);
      removedObjects++;
    }
  }

  const bytesBefore = totalBytes(files.all());
  for (const pack of dead) await files.remove(pack);
  const damaged = await rewrite(collection, rewritten, moving);
  index.compact();
  return { damaged, removedObjects, freedBytes: bytesBefore - totalBytes(files.all()) };
}

const totalBytes = (packs: PackFile[]): number => packs.reduce((sum, pack) => sum + pack.bytes, 0);

/** Changes with every new lease and every new pack. */
const stateOf = ({ leases, objects }: Collection): string => `${leases.version} ${objects.files.all().length}`;

/** Marks what leases and young packs hold. */
async function markYoung({ objects, leases, bornBefore }: Collection, marking: Marking): Promise<void> {
  const { index, files } = objects;
  const roots = [...leases.active()];
  const young = new Set(files.all().flatMap((pack) => (pack.bornAt < bornBefore ? [] : [pack.number])));
  for (let entry = 0; entry < index.length; entry++)
    if (!index.isGone(entry) && index.isTree(entry) && young.has(index.packOf(entry)) && !marking.isEntered(entry))
      roots.push(index.place(entry).digest);
  for (const root of roots) await marking.closure(root, false);
}

function worthRewriting(packs: PackFile[], live: Map<number, number>): PackFile[] {
  const mostlyDead = packs.filter((pack) => live.get(pack.number)! < pack.bytes * liveShare);
  const small = packs.filter((pack) => pack.bytes < smallPackBytes);
  return [...new Set(small.length >= manySmallPacks ? [...mostlyDead, ...small] : mostlyDead)];
}

/** Moves the live objects of `packs` to new packs and deletes the old ones. Returns what could not be read. */
async function rewrite(collection: Collection, packs: PackFile[], moving: ObjectPlace[]): Promise<string[]> {
  const { index, files } = collection.objects;
  const damaged: string[] = [];
  const keep = new Set<number>();
  moving.sort((a, b) => a.pack - b.pack || a.offset - b.offset);
  // As old as the youngest that goes into it, so that moving does not make objects young again.
  const bornAt = Math.max(...packs.map((pack) => pack.bornAt));
  for (let from = 0; from < moving.length;) {
    let to = from;
    for (let bytes = 0; to < moving.length && bytes < rewriteBytes; to++) bytes += bytesInPack(moving[to]!.size);
    const group = moving.slice(from, to);
    const written = await collection.write(group, bornAt);
    group.forEach((place, i) => {
      const moved = written.places[i];
      if (!moved) {
        damaged.push(place.digest);
        keep.add(place.pack); // the evidence stays
        return;
      }
      const entry = index.find(place.digest);
      // An upload may have brought a newer copy meanwhile.
      if (entry < 0 || index.packOf(entry) !== place.pack) return;
      index.set(Buffer.from(place.digest, 'hex'), moved.pack, moved.offset, moved.size, moved.tree);
    });
    from = to;
  }
  for (const pack of packs) if (!keep.has(pack.number)) await files.remove(pack);
  return damaged;
}
