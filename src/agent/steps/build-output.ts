/** A build's work directory becomes a tree: in the host's own store, since it may run here, and at the control plane. */
import { chunkResponse, missingResponse, uploadResponse, uploadStatus } from '../../shared/contracts/transfer.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { sendTree, type UploadTransport } from '../../shared/tree/send.ts';
import type { DirectoryRecord } from '../../shared/tree/walk-cache.ts';
import { walkTree, type WalkedTree } from '../../shared/tree/walk.ts';
import { readAll, type ControlHttp } from '../link-http.ts';
import type { ObjectStore } from '../trees/store.ts';

/**
 * Hashes a directory. What `before` saw and whose stat is unchanged is not read again.
 * @throws PaasError `build_failed` that names files that cannot be kept in a tree
 */
export async function snapshot(directory: string, signal: AbortSignal, before?: WalkedTree): Promise<WalkedTree> {
  const known = new Map<string, DirectoryRecord>(before?.directories.map((record) => [record.path, record]));
  try {
    // A virtual environment links to the base's python: links out of the tree are as the build wants them.
    return await walkTree(directory, { links: 'any', cache: { get: (path) => known.get(path) }, signal });
  } catch (error) {
    if (!(error instanceof PaasError && error.code.startsWith('source_'))) throw error;
    throw new PaasError('build_failed', `what the build made cannot be kept: ${error.message}`, {
      hint: 'Remove these files at the end of the build.',
      details: error.details,
      cause: error,
    });
  }
}

/** Puts a tree into the host's own store. */
export async function keep(tree: WalkedTree, store: ObjectStore, signal: AbortSignal): Promise<void> {
  await sendTree(tree, localTransport(store), { signal, patienceMs: 0 });
}

/** Sends what the control plane lacks of a tree. */
export async function upload(tree: WalkedTree, http: ControlHttp, signal: AbortSignal): Promise<void> {
  await sendTree(tree, controlTransport(http, signal), { signal });
}

function localTransport(store: ObjectStore): UploadTransport {
  const writer = store.writer();
  let offset = 0;
  return {
    missing: (digests) => Promise.resolve(digests.filter((digest) => !store.has(digest))),
    beginUpload: () => Promise.resolve({ id: 'local', offset }),
    putChunk(_id, _offset, bytes) {
      try {
        writer.write(bytes);
      } catch (cause) {
        if (errnoOf(cause) !== 'ENOSPC') throw cause;
        writer.abandon();
        throw new PaasError('disk_full', "no space left for the build's output on this host", { cause });
      }
      offset += bytes.length;
      return Promise.resolve({ offset });
    },
    finish() {
      writer.finish();
      writer.commit();
      return Promise.resolve();
    },
    status: () => Promise.resolve({ offset, finished: false }),
    abort() {
      writer.commit();
      return Promise.resolve();
    },
  };
}

function controlTransport(http: ControlHttp, signal: AbortSignal): UploadTransport {
  const root = '/v1/agents';
  const at = (id: string) => `${root}/uploads/${encodeURIComponent(id)}`;
  return {
    async missing(digests) {
      return missingResponse.parse(await http.json('POST', `${root}/missing`, { digests }, signal)).missing;
    },
    async beginUpload(bytes) {
      return uploadResponse.parse(await http.json('POST', `${root}/uploads`, { bytes }, signal));
    },
    async putChunk(id, offset, body) {
      const path = `${at(id)}?offset=${offset}`;
      const response = await http.open({ method: 'PUT', path, body, contentType: 'application/octet-stream', signal });
      return chunkResponse.parse(JSON.parse(await readAll(response, 64 * 1024)));
    },
    async finish(id) {
      await http.json('POST', `${at(id)}/finish`, {}, signal);
    },
    async status(id) {
      return uploadStatus.parse(await http.json('GET', at(id), undefined, signal));
    },
  };
}
