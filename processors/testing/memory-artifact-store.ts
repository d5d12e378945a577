// An artifact store in memory, for tests of effects. Keeps the promises B1 to B3 of the port.
import { createHash } from 'node:crypto';
import { Fault } from '../../schemas/index.js';
import type { ArtifactStore } from '../artifact-store.js';

export interface MemoryArtifactStore extends ArtifactStore {
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

export const memoryArtifactStore = (): MemoryArtifactStore => {
  const blobs = new Map<string, Uint8Array>();
  return {
    blobs,
    put: async (bytes) => {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (!blobs.has(sha256)) blobs.set(sha256, Uint8Array.from(bytes));
      return sha256;
    },
    get: async (sha256) => {
      const bytes = blobs.get(sha256);
      if (bytes === undefined) throw new Fault('terminal', 'content_missing', `no artifact with digest ${sha256} is in the store`);
      return bytes;
    },
  };
};
