// What is known here of another node: the life of its store that counts, and how far its log was taken in. Pure.
//
// P1. The newest store counts: whoever comes with an older one is not listened to, so two machines with one id are noticed. P2. A partition is taken in without a gap
// and once: of a batch that overlaps, the new part; a batch that begins later than the last one ended, not at all. P3. A new store begins at offset 0, under a
// new epoch; what was taken in of the old one stays. P4. A store that was restored from older goes on where it and what is here are the same, under a new epoch.
import type { DataOf, NodeAbilities, Topic } from '../../schemas/index.js';

/** `<topic>/<partition>` -> the offset below which everything is in. */
export type Cursors = Readonly<Record<string, number>>;

export interface Peer {
  readonly node_id: string;
  readonly store_id: string;
  readonly epoch: number;
  /** Stores before, oldest first; the last ones. */
  readonly earlier: readonly string[];
  readonly cursors: Cursors;
  readonly abilities: NodeAbilities;
  /** What is here of the stores before, and this one does not have. */
  readonly missing?: DataOf<'dats.node.registered'>['missing'];
}

/** So many earlier stores are known as such. */
const EARLIER_LIMIT = 32;

export const cursorName = (topic: Topic, partition: number): string => `${topic}/${partition}`;
export const cursorOf = ({ cursors }: Pick<Peer, 'cursors'>, topic: Topic, partition: number): number =>
  cursors[cursorName(topic, partition)] ?? 0;

const abilitiesOf = ({ version, roles, models, slots, projects }: NodeAbilities): NodeAbilities => ({
  version,
  roles,
  models,
  slots,
  projects,
});

/** Is it a store that another one has taken the place of (P1)? */
export const isSuperseded = (peer: Pick<Peer, 'earlier'> | undefined, storeId: string): boolean => peer?.earlier.includes(storeId) ?? false;

export interface Joined {
  readonly peer: Peer;
  /** What there is to say of it. */
  readonly registered?: DataOf<'dats.node.registered'>;
}

/** A node that wants to be taken in; undefined: it is not (P1). */
export const join = (known: Peer | undefined, said: DataOf<'dats.node.joined'>): Joined | undefined => {
  const abilities = abilitiesOf(said);
  const { node_id, store_id } = said;
  if (isSuperseded(known, store_id)) return undefined;
  if (known?.store_id === store_id) {
    const peer = { ...known, abilities };
    if (JSON.stringify(known.abilities) === JSON.stringify(abilities)) return { peer };
    return { peer, registered: { ...abilities, node_id, store_id, epoch: known.epoch } };
  }
  const epoch = (known?.epoch ?? 0) + 1;
  const earlier = known === undefined ? [] : [...known.earlier, known.store_id].slice(-EARLIER_LIMIT);
  const registered: DataOf<'dats.node.registered'> = { ...abilities, node_id, store_id, epoch };
  const cursors = known === undefined ? {} : keptOf(known, said.continues);
  if (known !== undefined) registered.missing = missingOf(known, cursors);
  const peer = { node_id, store_id, epoch, earlier, cursors, abilities, ...(known === undefined ? {} : { missing: registered.missing }) };
  return { peer, registered };
};

/** Of a store that lost its newest records, what it still has is not taken in again (P4). */
const keptOf = (known: Peer, continues: DataOf<'dats.node.joined'>['continues']): Cursors => {
  if (continues?.store_id !== known.store_id) return {};
  const { ends } = continues;
  return Object.fromEntries(Object.entries(known.cursors).map(([name, cursor]) => [name, Math.min(cursor, ends[name] ?? 0)]));
};

const missingOf = ({ epoch, cursors }: Peer, kept: Cursors): NonNullable<DataOf<'dats.node.registered'>['missing']> =>
  Object.entries(cursors).flatMap(([name, cursor]) => {
    const slash = name.lastIndexOf('/');
    const records = cursor - (kept[name] ?? 0);
    return records === 0 ? [] : [{ epoch, topic: name.slice(0, slash) as Topic, partition: Number(name.slice(slash + 1)), records }];
  });

export type Verdict = 'taken' | 'known' | 'gap' | 'superseded';

type Place = Pick<DataOf<'dats.link.batch'>, 'epoch' | 'topic' | 'partition' | 'first' | 'next'>;

/** What becomes of a batch; when it is taken, records below `from` are known. */
export const judge = (
  peer: Peer | undefined,
  { epoch, topic, partition, first, next }: Place,
): { readonly verdict: Verdict; readonly from: number } => {
  if (peer === undefined || peer.epoch !== epoch) return { verdict: 'superseded', from: 0 };
  const from = cursorOf(peer, topic, partition);
  if (first > from) return { verdict: 'gap', from };
  return { verdict: next > from ? 'taken' : 'known', from };
};

export const advance = (peer: Peer, { topic, partition, next }: Place): Peer => ({
  ...peer,
  cursors: { ...peer.cursors, [cursorName(topic, partition)]: next },
});
