import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { viewStoreContract } from '../view-store.contract.js';
import { openLmdbViewStore } from './index.js';

viewStoreContract('lmdb', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-views-'));
  const views = await openLmdbViewStore({ dir, node: 'node-1', partitions: 4 });
  return {
    views,
    dispose: async () => {
      await views.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
});
