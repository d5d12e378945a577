import { viewStoreContract } from '../view-store.contract.js';
import { openMemoryViewStore } from './index.js';

viewStoreContract('memory', async () => {
  const views = openMemoryViewStore();
  return { views, dispose: () => views.close() };
});
