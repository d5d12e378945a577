// The nodes as they stand: what servers.yaml says of them, what the receiver knows, and when they were last heard of.
import { isoOf } from '../../processors/index.js';
import { BEATS, PEERS, type PeerView, PRESENCE, type PresenceView, projectsOf, type StoredBeat } from '../../processors/link/index.js';
import type { NodeBeat, NodeEntry, NodeView } from '../../schemas/index.js';
import { refuse } from '../problem.js';
import type { Services } from '../services.js';
import { peerOf } from './take-in.js';

/** A node beats so often, in milliseconds; three beats missed, and it is away. */
export const BEAT_MS = 5_000;
export const AWAY_MS = 3 * BEAT_MS;

/** Not durable, not history: how a node is now. @throws Fault `node_superseded`; `link_busy` where the core has less than the node believes */
export const keepBeat = async (services: Services, beat: NodeBeat): Promise<void> => {
  const { deps } = services;
  const peer = await peerOf(services, beat.node_id);
  if (peer === undefined) throw refuse('link_busy', `node "${beat.node_id}" is not known here yet; let it join first`);
  if (peer.epoch !== beat.epoch)
    throw refuse(
      'node_superseded',
      `the beat is of epoch ${beat.epoch} of node "${beat.node_id}"; epoch ${peer.epoch} is what counts here`,
    );
  const lost = Object.entries(beat.cursors).find(([name, cursor]) => cursor > (peer.cursors[name] ?? 0));
  if (lost !== undefined)
    throw refuse(
      'link_busy',
      `of ${lost[0]} of node "${beat.node_id}", ${peer.cursors[lost[0]] ?? 0} is here and not ${lost[1]}; let it join again`,
    );
  const at = deps.now();
  const before = await deps.views.get<StoredBeat>(BEATS, beat.node_id);
  const version = Math.max(at, (before?.version ?? 0) + 1);
  await deps.views.put([{ collection: BEATS, id: beat.node_id, version, doc: { ...beat, at, version } satisfies StoredBeat }]);
};

type Seen = 'new' | 'connected' | 'away' | 'lost';

const viewOf = async ({ deps }: Services, entry: NodeEntry): Promise<NodeView> => {
  const { self, core } = deps.nodes!;
  const isHere = entry.id === self;
  const [peer, beat, presence, own, unsent, store] = await Promise.all([
    deps.views.get<PeerView>(PEERS, entry.id),
    isHere ? undefined : deps.views.get<StoredBeat>(BEATS, entry.id),
    deps.views.get<PresenceView>(PRESENCE, entry.id),
    isHere ? deps.vitals?.() : undefined,
    isHere ? deps.unsent?.() : undefined,
    isHere ? deps.nodes!.store().catch(() => undefined) : undefined,
  ]);
  const isCore = entry.id === core?.id;
  const line = isHere || (isCore && self !== core?.id) ? deps.line?.() : undefined;
  const seen = Math.max(peer?.at ?? 0, beat?.at ?? 0);
  const vitals = own ?? beat?.vitals ?? null;
  const ofThisLife = beat !== undefined && beat.epoch === peer?.epoch;
  const seenAs = (): Seen => {
    if (isCore && line !== undefined) return line.connected ? 'connected' : seen === 0 ? 'new' : 'away';
    if (seen > 0 && deps.now() - seen < AWAY_MS) return 'connected';
    if (presence?.lost === true) return 'lost';
    return seen === 0 ? 'new' : 'away';
  };
  return {
    id: entry.id,
    role: isCore ? 'core' : 'edge',
    url: entry.url ?? null,
    state: isHere ? 'here' : seenAs(),
    seen_at: seen === 0 ? null : isoOf(seen),
    admission: vitals?.admission ?? null,
    epoch: isHere ? (line?.epoch ?? store?.epoch ?? null) : (peer?.epoch ?? null),
    store_id: isHere ? (store?.id ?? null) : (peer?.store_id ?? null),
    projects: isCore ? ['*'] : [...projectsOf(entry)],
    backlog: isHere ? (unsent ?? line?.backlog ?? null) : ofThisLife ? beat.backlog : null,
    running_work: vitals?.running_work ?? null,
    vitals,
    cursors: { ...peer?.cursors },
    abilities: peer?.abilities ?? null,
  };
};

const onlyNode = async ({ deps }: Services): Promise<NodeView> => {
  const vitals = (await deps.vitals?.()) ?? null;
  return {
    id: deps.config.node.id,
    role: 'core',
    url: null,
    state: 'here',
    seen_at: null,
    admission: deps.admission?.() ?? null,
    epoch: null,
    store_id: null,
    projects: ['*'],
    backlog: null,
    running_work: vitals?.running_work ?? null,
    vitals,
    cursors: {},
    abilities: null,
  };
};

export const listNodes = async (services: Services): Promise<{ self: string; nodes: NodeView[] }> => {
  const { deps } = services;
  if (deps.nodes === undefined) return { self: deps.config.node.id, nodes: [await onlyNode(services)] };
  return { self: deps.nodes.self, nodes: await Promise.all(deps.config.nodes.map((entry) => viewOf(services, entry))) };
};
