// How the lines between the core and its edge nodes are, as figures: of its own line at an edge node, of all of them at the core.
import type { Nodes } from '../gateway/index.js';
import { BEATS, PEERS, type PeerView, type StoredBeat } from '../processors/link/index.js';
import type { AdmissionState } from '../schemas/index.js';
import type { ViewStore } from '../streams/index.js';
import type { Uplink } from './link/index.js';

export interface EdgeFigures {
  /** The edge node of the line. */
  readonly node: string;
  readonly connected: boolean;
  /** Takes it new work? */
  readonly open?: boolean;
  /** Records that the core does not have. */
  readonly backlog?: number;
  /** How long ago it was heard of, in seconds. */
  readonly seenAgeS?: number;
  /** Since the edge node's process began. */
  readonly sent?: { readonly bytes: number; readonly batches: number };
}

export interface EdgeFiguresOptions {
  readonly nodes: Nodes;
  readonly uplink: Pick<Uplink, 'state' | 'unsent'> | undefined;
  readonly admission: () => AdmissionState;
  readonly views: Pick<ViewStore, 'get'>;
  readonly awayMs: number;
  readonly now: () => number;
}

const ofThisNode = async ({ nodes, uplink, admission }: EdgeFiguresOptions): Promise<readonly EdgeFigures[]> => {
  if (uplink === undefined) return [];
  const { connected, sent } = uplink.state();
  const backlog = await uplink.unsent();
  return [
    {
      node: nodes.self,
      connected,
      open: admission() === 'open',
      ...(backlog === undefined ? {} : { backlog }),
      ...(sent === undefined ? {} : { sent }),
    },
  ];
};

export const edgeFigures = async (options: EdgeFiguresOptions): Promise<readonly EdgeFigures[]> => {
  const { nodes, views, awayMs, now } = options;
  if (nodes.core?.id !== nodes.self) return ofThisNode(options);
  return Promise.all(
    nodes.edges.map(async ({ id }) => {
      const [peer, beat] = await Promise.all([views.get<PeerView>(PEERS, id), views.get<StoredBeat>(BEATS, id)]);
      const at = Math.max(peer?.at ?? 0, beat?.at ?? 0);
      if (at === 0) return { node: id, connected: false };
      const age = Math.max(0, now() - at);
      const heard = { node: id, connected: age < awayMs, seenAgeS: age / 1_000 };
      if (beat === undefined) return heard;
      const { backlog, sent, vitals } = beat;
      return { ...heard, open: vitals.admission === 'open', backlog, ...(sent === undefined ? {} : { sent }) };
    }),
  );
};
