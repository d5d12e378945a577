import { logContract, PARTITIONS } from '../log.contract.js';
import { MemoryStore, openMemoryLog } from './index.js';

logContract('memory', async () => {
  const store = new MemoryStore();
  return {
    open: async (node = 'node-1') => openMemoryLog({ partitions: PARTITIONS, store, node }),
    expel: async (node) => store.expelNode(node),
    dispose: async () => undefined,
  };
});
