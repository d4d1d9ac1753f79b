/**
 * Base images on this host. `host` is the machine itself; an imported root file system is fetched when an instance first
 * needs it, unpacked once, and shared read-only by all apps.
 */
import { createWriteStream, existsSync, readdirSync, renameSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BaseRef } from '../shared/contracts/instances.ts';
import { errnoOf, PaasError } from '../shared/errors.ts';
import { digestPattern } from '../shared/tree/hash.ts';
import type { ControlHttp } from './link-http.ts';
import type { Log } from './log.ts';
import { removeTree } from './remove-tree.ts';
import type { Base } from './runtimes/port.ts';

export interface Bases {
  /**
   * What an app of this base finds as its system. Fetches and unpacks it when needed, once however many ask.
   * @throws PaasError `corrupt`, `unavailable`, `disk_full`, `unsupported`
   */
  resolve(base: BaseRef): Promise<Base>;
  /** Imported bases that are ready here. */
  ready(): BaseRef[];
  /** Keeps a base, there already or not, from being collected until the answer is called. */
  hold(base: BaseRef): () => void;
  /** Removes bases that are not among these digests and that nobody is fetching or holding. */
  collect(digests: ReadonlySet<string>): Promise<void>;
}

export interface BasesOptions {
  directory: string;
  http: Pick<ControlHttp, 'open'>;
  log: Log;
  /** Unpacks a tar file (gzip or not) into an empty directory; refuses names that lead out. */
  unpack(tar: string, directory: string): Promise<void>;
}

export function openBases(options: BasesOptions): Bases {
  const { directory, log } = options;
  const names = new Map<string, string>();
  const fetching = new Map<string, Promise<void>>();
  const holds = new Set<{ digest: string }>();
  const placeOf = (digest: string) => join(directory, digest);

  const fetch = async ({ name, digest }: BaseRef) => {
    const started = Date.now();
    const tar = join(directory, `${digest}.tar.part`);
    const unpacked = join(directory, `${digest}.part`);
    await removeTree(unpacked);
    try {
      await download(options.http, digest, tar);
      await mkdir(unpacked, { mode: 0o755 });
      await options.unpack(tar, unpacked);
      // Made in a private directory, as by mktemp, a tar closes its root to the apps' users.
      await chmod(unpacked, 0o755);
      renameSync(unpacked, placeOf(digest));
    } catch (error) {
      if (errnoOf(error) !== 'ENOSPC') throw error;
      throw new PaasError('disk_full', `no space left on this host for the base ${name}`, { cause: error });
    } finally {
      await rm(tar, { force: true });
      await removeTree(unpacked);
    }
    log.info('base image ready', { name, digest, ms: Date.now() - started });
  };

  return {
    async resolve(base) {
      if (base.name === 'host') return { kind: 'host' };
      if (!digestPattern.test(base.digest))
        throw new PaasError('bad_request', `the base ${base.name} has no valid digest`);
      const place = placeOf(base.digest);
      if (!existsSync(place)) {
        let under = fetching.get(base.digest);
        if (!under) {
          under = fetch(base).finally(() => fetching.delete(base.digest));
          fetching.set(base.digest, under);
        }
        await under;
      }
      names.set(base.digest, base.name);
      return { kind: 'rootfs', path: place };
    },
    ready: () =>
      [...names].map(([digest, name]) => ({ name, digest })).filter(({ digest }) => existsSync(placeOf(digest))),
    hold({ digest }) {
      const hold = { digest };
      holds.add(hold);
      return () => void holds.delete(hold);
    },
    async collect(digests) {
      for (const name of readdirSync(directory)) {
        const digest = name.split('.')[0]!;
        if (!digestPattern.test(digest) || digests.has(digest) || fetching.has(digest)) continue;
        if ([...holds].some((hold) => hold.digest === digest)) continue;
        names.delete(digest);
        // Renamed first, so that a half-removed one is never taken for whole.
        const trash = join(directory, `${digest}.trash`);
        if (name === digest) renameSync(placeOf(digest), trash);
        await removeTree(name === digest ? trash : join(directory, name));
      }
    },
  };
}

/** Streams the tar to a file while its hash is checked. */
async function download(http: Pick<ControlHttp, 'open'>, digest: string, to: string): Promise<void> {
  const response = await http.open({ method: 'GET', path: `/v1/agents/bases/${digest}` });
  const hash = createHash('sha256');
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline(response, check, createWriteStream(to, { mode: 0o600 }));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOSPC') throw cause;
    throw new PaasError('unavailable', 'the connection broke while a base image was received', { cause });
  }
  if (hash.digest('hex') !== digest) {
    throw new PaasError('corrupt', `the base image ${digest} does not match its digest as it was received`);
  }
}
