import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPackStore } from '../../src/control/blobs/packs.ts';
import { blobStoreSuite } from './blobstore.ts';

blobStoreSuite('packs on a disk', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'paas-blobs-'));
  return {
    open: (now) => openPackStore(directory, { now }),
    cleanUp: () => rm(directory, { recursive: true }),
  };
});
