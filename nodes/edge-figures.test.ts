import { describe, expect, it } from 'vitest';
import { BEATS, homesIn, PEERS } from '../processors/link/index.js';
import { serversSchema } from '../schemas/index.js';
import { openMemoryViewStore } from '../streams/memory/index.js';
import { edgeFigures } from './edge-figures.js';

const NOW = 1_000_000;
const nodesOf = (id: string) => {
  const config = serversSchema.parse({
    version: 1,
    node: { id },
    nodes: [
      { id: 'core', url: 'http://core' },
      { id: 'edge-1', token_env: 'A' },
      { id: 'edge-2', token_env: 'B' },
    ],
  });
  return { ...homesIn(config), tokenOf: () => undefined, store: async () => ({ id: 's', epoch: 1 }), exchange: undefined as never };
};

describe('the figures of lines', () => {
  it('are at the core those of every edge node, as it said them when it was last heard of', async () => {
    const views = openMemoryViewStore();
    const vitals = { admission: 'cordoned' };
    const sent = { bytes: 100, batches: 2 };
    await views.put([
      { collection: BEATS, id: 'edge-1', version: 1, doc: { node_id: 'edge-1', epoch: 1, backlog: 7, sent, vitals, at: NOW - 20_000 } },
      { collection: PEERS, id: 'edge-1', version: 1, doc: { at: NOW - 4_000 } },
    ]);
    const options = { nodes: nodesOf('core'), uplink: undefined, admission: () => 'open' as const, views, awayMs: 15_000, now: () => NOW };
    expect(await edgeFigures(options)).toEqual([
      { node: 'edge-1', connected: true, open: false, backlog: 7, seenAgeS: 4, sent },
      { node: 'edge-2', connected: false },
    ]);
    expect(await edgeFigures({ ...options, now: () => NOW + 11_000 })).toMatchObject([{ connected: false, seenAgeS: 15 }, {}]);
  });

  it('are at an edge node those of its own line, also while it is down', async () => {
    const uplink = { state: () => ({ connected: false, detail: 'down', sent: { bytes: 5, batches: 1 } }), unsent: async () => 12 };
    const options = { views: openMemoryViewStore(), awayMs: 15_000, now: () => NOW, admission: () => 'open' as const };
    expect(await edgeFigures({ ...options, nodes: nodesOf('edge-1'), uplink })).toEqual([
      { node: 'edge-1', connected: false, open: true, backlog: 12, sent: { bytes: 5, batches: 1 } },
    ]);
    expect(await edgeFigures({ ...options, nodes: nodesOf('edge-1'), uplink: undefined })).toEqual([]);
  });
});
