/** Brings trees from the control plane into the host's store: what is missing, and only that. */
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { maxDigests, packContentType, type BlobsRequest, type TreesRequest } from '../../shared/contracts/transfer.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { ControlHttp } from '../link-http.ts';
import { reach } from './missing.ts';
import type { ObjectStore } from './store.ts';

/** Answers in a row that bring nothing new before a tree is given up. */
const fruitlessLimit = 3;

export interface FetchOptions {
  http: Pick<ControlHttp, 'open'>;
  store: ObjectStore;
  /** Trees that are whole on this host: the control plane leaves out what they share with the one asked for. */
  have: readonly string[];
}

/**
 * Fetches until the tree is whole. One streamed request for a tree that is new; a stream that broke keeps what came, and
 * the rest is asked for by digest, as is what was damaged on disk.
 * @throws PaasError `corrupt` when the control plane cannot send an object, or what `http` throws
 */
export async function fetchTree(root: string, options: FetchOptions): Promise<void> {
  const { store } = options;
  if (!store.has(root)) {
    const request: TreesRequest = { root, have: options.have.slice(0, 1000) };
    await receive(options, '/v1/agents/trees', request);
  }
  for (let fruitless = 0; ;) {
    const { missing } = await reach(store, [root]);
    if (missing.length === 0) return;
    const request: BlobsRequest = { digests: missing.slice(0, maxDigests) };
    const { count, broken } = await receive(options, '/v1/agents/blobs', request);
    fruitless = count > 0 ? 0 : fruitless + 1;
    if (fruitless < fruitlessLimit) {
      if (fruitless > 0) await sleep(100 * 2 ** fruitless);
      continue;
    }
    throw (
      broken ??
      new PaasError('corrupt', `the control plane does not send ${missing.length} objects of the tree ${root}`, {
        hint: 'Its store may be damaged: see its log, and push the app again.',
        details: { tree: root, missing: missing.slice(0, 10) },
      })
    );
  }
}

/**
 * Asks for a pack and takes it into the store; says how many objects came. A connection that breaks and a damaged object
 * are no errors yet: what came whole before is kept, and the rest can be asked for again. Throws `disk_full`.
 */
async function receive(
  { http, store }: FetchOptions,
  path: string,
  request: TreesRequest | BlobsRequest,
): Promise<{ count: number; broken?: PaasError }> {
  let response: IncomingMessage;
  try {
    response = await post(http, path, request);
  } catch (error) {
    if (error instanceof PaasError && error.code === 'unavailable') return { count: 0, broken: error };
    throw error;
  }
  const writer = store.writer();
  let broken: PaasError | undefined;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) writer.write(chunk);
    writer.finish();
  } catch (error) {
    response.destroy();
    if (errnoOf(error) === 'ENOSPC') {
      writer.abandon();
      throw new PaasError('disk_full', "no space left for apps' files on this host", { cause: error });
    }
    if (error instanceof PaasError) broken = error;
    else broken = new PaasError('unavailable', 'the connection broke while files were received', { cause: error });
  }
  const count = writer.commit();
  return broken ? { count, broken } : { count };
}

function post(http: Pick<ControlHttp, 'open'>, path: string, body: unknown): Promise<IncomingMessage> {
  return http.open({ method: 'POST', path, body: JSON.stringify(body) }).then((response) => {
    const type = response.headers['content-type'];
    if (type === packContentType) return response;
    response.destroy();
    throw new PaasError('unavailable', `the control plane answered ${path} with ${String(type)} instead of a pack`);
  });
}
