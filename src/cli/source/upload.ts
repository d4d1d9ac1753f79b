/** A source becomes a tree that the server holds: walking, sending, and starting over when the two do not agree. */
import { PaasError } from '../../shared/errors.ts';
import { sendTree, type SendOptions, type Sent, type UploadTransport } from '../../shared/tree/send.ts';
import type { WalkedTree } from '../../shared/tree/walk.ts';
import type { Source } from './types.ts';
import { walkSource, type WalkSourceOptions } from './walk.ts';

export type { Sent, UploadTransport } from '../../shared/tree/send.ts';

export interface UploadOptions extends SendOptions {
  /** PAAS_HOME, for the stat cache. */
  home?: string;
  /** Called while the source is being read. */
  onWalk?: (files: number, hashedBytes: number) => void;
}

export interface Uploaded {
  tree: WalkedTree;
  sent: Sent;
}

const tries = 3;

/**
 * Sends what the server lacks of a source. A file that is no longer what was hashed, be it that somebody saved it just now
 * or that the stat cache was wrong about it, makes it read the source again without the cache.
 * @throws PaasError as `walkSource` and `sendTree` do
 */
export async function uploadSource(
  source: Source,
  transport: UploadTransport,
  options: UploadOptions = {},
): Promise<Uploaded> {
  const { home, onWalk, ...send } = options;
  const walk: WalkSourceOptions = {
    ...(home === undefined ? {} : { home }),
    ...(onWalk ? { onProgress: onWalk } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  };
  for (let attempt = 1; ; attempt++) {
    const tree = await walkSource(source, { ...walk, sending: true, fresh: attempt > 1 });
    try {
      return { tree, sent: await sendTree(tree, transport, send) };
    } catch (error) {
      if (!(error instanceof PaasError) || error.code !== 'source_changed' || attempt === tries) throw error;
    }
  }
}
