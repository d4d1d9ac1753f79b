/**
 * What CLI, control plane and agent share of HTTP: the error body, and the transfer of trees.
 *
 * Upload (CLI: /v1/…, agent: /v1/agents/…): POST missing, POST uploads, PUT uploads/:id?offset=N (at most 8 MiB, each
 * signed with its Content-Digest), GET uploads/:id, POST uploads/:id/finish. What is uploaded is a pack (shared/tree).
 *
 * Download (agents only; the answer is a pack, `application/vnd.paas.pack`, sent while it is read from the store):
 *   POST /v1/agents/trees {root, have}  every object reachable from `root`, except those reachable from one of `have`;
 *                                       a root in `have` that the server does not know is passed over
 *   POST /v1/agents/blobs {digests}     exactly these objects; one that is not there is left out (the agent asks again
 *                                       and reports the tree as corrupt when it still lacks it)
 *   GET  /v1/agents/bases/:digest       an imported rootfs, the tar as it was added (gzip or not)
 * An agent may read what its assignment and its steps name, and what those reach; else `not_allowed`.
 */
import * as z from 'zod/mini';
import { digest } from './instances.ts';

export const errorResponse = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
});

export const packContentType = 'application/vnd.paas.pack';

/** The most digests in one request. */
export const maxDigests = 50_000;
export const maxUploadChunk = 8 << 20;

export const missingRequest = z.object({ digests: z.array(digest).check(z.maxLength(maxDigests)) });
export const missingResponse = z.object({ missing: z.array(digest) });
export const uploadRequest = z.object({ bytes: z.int().check(z.nonnegative()) });
export const uploadResponse = z.object({ id: z.string(), offset: z.int() });
/** PUT uploads/:id: the offset after the chunk. */
export const chunkResponse = z.object({ offset: z.int() });
/** GET uploads/:id */
export const uploadStatus = z.object({ offset: z.int(), finished: z.boolean() });

export const treesRequest = z.object({ root: digest, have: z.array(digest).check(z.maxLength(1000)) });
export type TreesRequest = z.infer<typeof treesRequest>;
export const blobsRequest = z.object({ digests: z.array(digest).check(z.minLength(1), z.maxLength(maxDigests)) });
export type BlobsRequest = z.infer<typeof blobsRequest>;
