/** The upload of a source tree over the API (shared/tree/send.ts holds the conversation). */
import type { UploadTransport } from '../../shared/tree/send.ts';
import { chunkResponse, missingResponse, uploadResponse, uploadStatus } from '../../shared/contracts/transfer.ts';
import type { Client } from './client.ts';

/**
 * The transport for `sendTree`, which does the repeating: calls fail at the first broken connection. None of them needs
 * an Idempotency-Key: questions change nothing, a chunk goes to its offset once, an upload begun twice expires.
 */
export function uploadTransport(client: Client, signal?: AbortSignal): UploadTransport {
  const common = { idempotencyKey: null, patienceMs: 0, timeoutMs: 120_000, ...(signal ? { signal } : {}) };
  const of = (id: string): string => `/v1/uploads/${encodeURIComponent(id)}`;
  return {
    isReached: () => client.serverVersion !== null,
    missing: async (digests) => {
      const request = { ...common, method: 'POST', path: '/v1/missing', body: { digests } } as const;
      return (await client.request({ ...request, schema: missingResponse })).missing;
    },
    beginUpload: (bytes) =>
      client.request({ ...common, method: 'POST', path: '/v1/uploads', body: { bytes }, schema: uploadResponse }),
    putChunk: (id, offset, body) =>
      client.request({ ...common, method: 'PUT', path: of(id), query: { offset }, body, schema: chunkResponse }),
    finish: async (id) => {
      await client.request({ ...common, method: 'POST', path: `${of(id)}/finish` });
    },
    status: (id) => client.request({ ...common, method: 'GET', path: of(id), schema: uploadStatus }),
  };
}
