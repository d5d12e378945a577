// Who should own which partition: a pure function of the members and the present owners, so that every member reaches the same answer alone.
//
// B1. Even: two members with the same topics differ by at most one partition. B2. Sticky: only what must move moves.
// B3. Deterministic: the order of `members` (by the time they joined) breaks ties.
import type { Topic } from '../../schemas/index.js';

export interface Place {
  readonly topic: Topic;
  readonly partition: number;
}

export interface Subscriber {
  readonly id: string;
  readonly topics: readonly Topic[];
}

export interface Owned extends Place {
  readonly owner: string | undefined;
}

/** `topic/partition`: the key of a place in maps. */
export const placeKey = (place: Place): string => `${place.topic}/${place.partition}`;

/** Place key -> id of the member that should own it. Places that nobody subscribes to are absent. */
export const balance = (members: readonly Subscriber[], places: readonly Owned[]): ReadonlyMap<string, string> => {
  const shares = new Map<string, Place[]>(members.map((member) => [member.id, []]));
  const takes = (member: Subscriber, topic: Topic) => member.topics.includes(topic);
  const load = (member: Subscriber) => shares.get(member.id)!.length;
  const loadOf = (member: Subscriber, topic: Topic) => shares.get(member.id)!.filter((place) => place.topic === topic).length;
  const byId = new Map(members.map((member) => [member.id, member]));

  const free: Place[] = [];
  for (const place of places) {
    const owner = place.owner === undefined ? undefined : byId.get(place.owner);
    if (owner !== undefined && takes(owner, place.topic)) shares.get(owner.id)!.push(place);
    else free.push(place);
  }
  for (const place of free) {
    let least: Subscriber | undefined;
    for (const member of members) {
      if (!takes(member, place.topic)) continue;
      if (
        least === undefined ||
        load(member) < load(least) ||
        (load(member) === load(least) && loadOf(member, place.topic) < loadOf(least, place.topic))
      )
        least = member;
    }
    if (least !== undefined) shares.get(least.id)!.push(place);
  }
  while (moveOne(members, shares, takes));

  const target = new Map<string, string>();
  for (const [id, share] of shares) for (const place of share) target.set(placeKey(place), id);
  return target;
};

/** Moves one partition from a member to another that has at least two fewer; false when there is no such pair. */
const moveOne = (
  members: readonly Subscriber[],
  shares: Map<string, Place[]>,
  takes: (member: Subscriber, topic: Topic) => boolean,
): boolean => {
  let best: { from: Place[]; to: Place[]; place: Place; gap: number } | undefined;
  for (const giver of members) {
    for (const taker of members) {
      const from = shares.get(giver.id)!;
      const to = shares.get(taker.id)!;
      const gap = from.length - to.length;
      if (gap < 2 || (best !== undefined && gap <= best.gap)) continue;
      const place = surplus(from, to, (topic) => takes(taker, topic));
      if (place !== undefined) best = { from, to, place, gap };
    }
  }
  if (best === undefined) return false;
  best.from.splice(best.from.indexOf(best.place), 1);
  best.to.push(best.place);
  return true;
};

/** The partition to give away: of the topic where the giver is furthest ahead of the taker, the last one. */
const surplus = (from: readonly Place[], to: readonly Place[], wanted: (topic: Topic) => boolean): Place | undefined => {
  const ahead = new Map<Topic, number>();
  for (const place of from) ahead.set(place.topic, (ahead.get(place.topic) ?? 0) + 1);
  for (const place of to) if (ahead.has(place.topic)) ahead.set(place.topic, ahead.get(place.topic)! - 1);
  let best: Place | undefined;
  for (const place of from) {
    if (!wanted(place.topic)) continue;
    const lead = best === undefined ? 1 : ahead.get(place.topic)! - ahead.get(best.topic)!;
    if (best === undefined || lead > 0 || (lead === 0 && place.topic === best.topic && place.partition > best.partition)) best = place;
  }
  return best;
};
