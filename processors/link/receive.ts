// Takes in what other nodes sent: from the link topic to where it belongs, each record once and in order, whoever sent it how often.
//
// R1. Records, cursor and offset are one commit: a crash anywhere repeats the batch, and the cursor knows it. R2. What is told to the senders (the view of
// a node) follows the commit: it may be late, never early. R3. A record keeps its headers and value byte for byte, and gets `linkedfrom`: whoever reads it
// knows that another node said it. R4. What lay in the sender's outbox goes to this node's projects, or into its outbox where it is for a third node.
// R6. What is for the node itself (settings, what operators ask of it) is taken from the core alone.
// R5. What cannot be taken (a damaged batch, another store's) is passed over and told; the sender sees that the cursor did not move.
import {
  CONFIG,
  CONFIG_LOG_KEY,
  type DatsEvent,
  Fault,
  formatLinkedFrom,
  isFault,
  LIFECYCLE,
  LINKED_FROM,
  LINKED_TOPIC,
  type LinkBatch,
  NODES,
  OUTBOX,
  TELEMETRY,
  type Topic,
  toFault,
} from '../../schemas/index.js';
import { type Assignment, eventOf, type Outgoing, outgoing, type Recorded, type ViewStore } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';
import { sayOn } from '../draft.js';
import { stamp } from '../host/index.js';
import { isoOf } from '../iso-time.js';
import { type PackedRecord, unpackRecords } from './batch.js';
import { openBeside } from './look-beside.js';
import { advance, join, judge, type Peer } from './peer.js';
import { openShown, SHOWN_LOOK_MS } from './shown.js';

export interface ReceiveOptions {
  readonly views: ViewStore;
  /** The node that this is. */
  readonly self: string;
  /** The core; undefined: this is the only node. */
  readonly core?: string | undefined;
  readonly configVersion: () => string;
  readonly now: () => number;
  readonly onProblem?: (error: unknown, record?: Recorded) => void;
  /** Looks so often whether the store still has what was shown, in milliseconds; default 2,000. */
  readonly lookMs?: number;
}

/** Collection of the view store: what is known of each node, by its id. */
export const PEERS = 'peer';

export interface PeerView extends Peer {
  /** When something of it was taken in, milliseconds since the epoch. */
  readonly at: number;
}

const SOURCE = '/link';
const MOST_RECORDS = 64;
/** Of a commit, at most: a batch more may be in it. */
const COMMIT_RECORDS = 4_096;
const COPIED: readonly Topic[] = [LIFECYCLE, TELEMETRY];

interface Step {
  readonly outputs: Outgoing[];
  readonly changed: Map<string, Peer>;
}

/** Until the partition is revoked. @throws Fault fenced or fatal */
export const receiveLink = async (assignment: Assignment, options: ReceiveOptions): Promise<void> => {
  const { views, now, onProblem, lookMs = SHOWN_LOOK_MS } = options;
  const beside = openBeside(assignment);
  const { until } = beside;
  const trouble = { revoked: until, onTrouble: (fault: unknown) => onProblem?.(fault) };
  const shown = openShown({ views, name: `link/${assignment.partition}`, until, onTrouble: trouble.onTrouble });
  const peers = new Map<string, Peer>();
  for await (const [id, bytes] of assignment.states()) peers.set(id, JSON.parse(Buffer.from(bytes).toString('utf8')) as Peer);
  /** What is shown is as of there. */
  let upTo = assignment.committed;

  const show = (some: Iterable<Peer>, at: (id: string) => number): Promise<void> => {
    const documents = [...some].map((peer) => {
      const doc: PeerView = { ...peer, at: at(peer.node_id) };
      return { collection: PEERS, id: peer.node_id, version: upTo, doc };
    });
    return shown.show(documents, upTo);
  };
  /** Nothing was taken in now. */
  const showAll = async (): Promise<void> => {
    const known = new Map<string, number>();
    const read = async (id: string): Promise<unknown> => known.set(id, (await views.get<PeerView>(PEERS, id))?.at ?? 0);
    for (const id of peers.keys()) await untilDone(() => read(id), trouble);
    if (!until.aborted) await show(peers.values(), (id) => known.get(id)!);
  };

  const take = async (record: Recorded, { outputs, changed }: Step): Promise<void> => {
    const event = eventOf(record);
    if (event.type === 'dats.node.joined') {
      const joined = join(peers.get(event.data.node_id), event.data);
      if (joined === undefined) return;
      peers.set(event.data.node_id, joined.peer);
      changed.set(event.data.node_id, joined.peer);
      if (joined.registered !== undefined) outputs.push(registeredRecord(joined.registered, event, options));
      return;
    }
    if (event.type !== 'dats.link.batch') return;
    const peer = peers.get(event.data.node_id);
    const { verdict, from } = judge(peer, event.data);
    if (verdict !== 'taken') return;
    outputs.push(...(await copiesOf(event.data, from, options)));
    const next = advance(peer!, event.data);
    peers.set(next.node_id, next);
    changed.set(next.node_id, next);
  };

  const commit = async ({ outputs, changed }: Step, next: number): Promise<void> => {
    const states = new Map([...changed].map(([id, peer]) => [id, JSON.stringify(peer)]));
    await untilDone(() => assignment.commit({ next, outputs, states }), trouble);
    // Given up, perhaps: then nothing of it is true, and whoever has the partition next shows what is.
    if (until.aborted) return;
    upTo = next;
    await show(changed.values(), now);
  };

  const takeAll = async (records: readonly Recorded[]): Promise<void> => {
    let step: Step = { outputs: [], changed: new Map() };
    for (const record of records) {
      await take(record, step).catch((error: unknown) => {
        if (!isFault(toFault(error), 'terminal')) throw error;
        onProblem?.(error, record);
      });
      if (step.outputs.length < COMMIT_RECORDS) continue;
      await commit(step, record.offset + 1);
      // What was given up must not be passed over by what comes after it.
      if (until.aborted) return;
      step = { outputs: [], changed: new Map() };
    }
    await commit(step, records.at(-1)!.offset + 1);
  };

  const look = async (): Promise<void> => {
    if (await shown.isLost()) await showAll();
  };
  // Before anything is taken: what is being taken is not to be shown until it is committed (R2).
  await showAll();
  await beside.run({ take: takeAll, look, lookMs, maxBatch: MOST_RECORDS });
};

const registeredRecord = (
  data: Extract<DatsEvent, { type: 'dats.node.registered' }>['data'],
  cause: DatsEvent,
  { configVersion, now }: ReceiveOptions,
): Outgoing => {
  const draft = sayOn(NODES, data.node_id, 'dats.node.registered', data.node_id, data);
  const by = { source: SOURCE, actor: data.node_id, configversion: configVersion(), time: isoOf(now()), cause };
  return outgoing(NODES, stamp(draft, by), data.node_id);
};

/** R3, R4. @throws Fault terminal */
const copiesOf = async (batch: LinkBatch, from: number, options: ReceiveOptions): Promise<readonly Outgoing[]> => {
  const { node_id, epoch, topic, partition } = batch;
  const records = (await unpackRecords(batch)).filter(({ offset }) => offset >= from);
  if (topic === OUTBOX) return records.flatMap((record) => delivered(record, batch, options));
  if (!COPIED.includes(topic)) return [];
  return records.map(({ offset, key, headers, value }) => ({
    topic,
    key,
    headers: { ...headers, [LINKED_FROM]: formatLinkedFrom({ epoch, partition, offset, node: node_id }) },
    value,
  }));
};

/** R6: where what is for a node itself goes, and under which key. */
const OF_NODE: Readonly<Partial<Record<string, (self: string) => Pick<Outgoing, 'topic' | 'key'>>>> = {
  [NODES]: (self) => ({ topic: NODES, key: self }),
  [CONFIG]: () => ({ topic: CONFIG, key: CONFIG_LOG_KEY }),
};

/** R4: to the project, to the node itself, or on to the node that it is for. */
const delivered = (
  { key: to, headers, value, offset }: PackedRecord,
  { node_id, epoch, partition }: LinkBatch,
  { self, core, onProblem }: ReceiveOptions,
): readonly Outgoing[] => {
  const { [LINKED_TOPIC]: topic, ...attributes } = headers;
  if (topic === undefined)
    return [to === self ? { topic: LIFECYCLE, key: headers.projectid ?? '', headers, value } : { topic: OUTBOX, key: to, headers, value }];
  const place = node_id === core && to === self ? OF_NODE[topic]?.(self) : undefined;
  if (place === undefined) {
    onProblem?.(
      new Fault('terminal', 'bad_record', `node "${node_id}" sent a record for ${topic} of node "${to}", which is not its to say`),
    );
    return [];
  }
  const linkedfrom = formatLinkedFrom({ epoch, partition, offset, node: node_id });
  return [{ ...place, headers: { ...attributes, [LINKED_FROM]: linkedfrom }, value }];
};
