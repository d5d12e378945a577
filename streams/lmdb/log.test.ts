import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logContract, PARTITIONS } from '../log.contract.js';
import { openLmdbLog } from './index.js';

logContract('lmdb', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-log-'));
  const open = (node = 'node-1') => openLmdbLog({ dir, node, partitions: PARTITIONS });
  return {
    open,
    expel: async (node) => {
      const operator = await open('operator');
      await operator.expel(node);
      await operator.close();
    },
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
});
