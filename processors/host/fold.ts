// The fold of one partition by a group of deciders: pure of I/O, so that live running, restoring and rebuilding are the same code.
// What they say on the topic that they fold is theirs to take in; what they say on others is not.
//
// H1. An event is taken in by every decider before any decider answers it; answers are taken in at once, in the order they will have in the log.
// H2. Answers are answered in turn until nobody has more to say ("quiet"), so a chain of decisions is one commit.
// H3. The group's own events are not folded again when they come back from the log: they were folded when they were made, in the same commit.
// H4. A project that comes from another node is folded from its whole history there, when its last word is taken in; until then nothing of it is.
// H5. What was left undecided there is taken in and answered one by one, behind the last word; the answers name their cause, so a rebuild finds the order again.
import { type DatsEvent, Fault, LIFECYCLE, type Topic } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import type { Draft } from '../draft.js';
import { isoOf } from '../iso-time.js';
import type { Arrival } from './arrival.js';
import { type Stamp, stamp } from './stamp.js';

/** More answers than this to one event is a loop between deciders. */
const MAX_ANSWERS = 100_000;

export interface FoldOptions {
  /** `/deciders/<group>`: the source of what these deciders say. */
  readonly source: string;
  /** What is in force now. */
  readonly configVersion: () => string;
  readonly now: () => number;
  /** What is folded; default: the lifecycle topic. */
  readonly topic?: Topic;
}

export interface Said {
  readonly topic: Topic;
  readonly key: string;
  readonly event: DatsEvent;
}

export interface Fold {
  /** Types that any of the deciders looks at. */
  readonly consumes: ReadonlySet<string>;
  /** Takes an event of the log in and returns what the deciders say to it, all of it. */
  take(event: DatsEvent, offset: number): readonly Said[];
  /** Takes an event in without deciding: for rebuilding. */
  replay(event: DatsEvent, offset: number): void;
  /** Takes in what another node decided, then decides on that it left the project, and on what it left undecided (H4, H5). */
  takeOver(arrival: Arrival): readonly Said[];
  /** Takes in what another node decided, without what it left undecided: that is replayed where its answers stand. */
  replayArrival(arrival: Arrival): void;
  nextDue(): number | undefined;
  tick(now: number, afteroffset: number): readonly Said[];
  /** Changed entries of all deciders since the last call, keys prefixed with `<decider>/`. */
  changes(): Map<string, string | null>;
}

interface Part {
  readonly decider: Decider;
  readonly consumes: ReadonlySet<string>;
  readonly state: unknown;
}

/** A fold that goes on from saved entries (keys as `changes` gave them). */
export const openFold = (deciders: readonly Decider[], saved: Iterable<readonly [string, string]>, options: FoldOptions): Fold => {
  const entries = new Map<string, (readonly [string, unknown])[]>(deciders.map((d) => [d.name, []]));
  for (const [key, json] of saved) {
    const slash = key.indexOf('/');
    entries.get(key.slice(0, slash))?.push([key.slice(slash + 1), JSON.parse(json)]);
  }
  const parts: readonly Part[] = deciders.map((decider) => {
    const own = entries.get(decider.name)!;
    return { decider, consumes: new Set(decider.consumes), state: own.length > 0 ? decider.restore(own) : decider.initialState() };
  });

  const folded = options.topic ?? LIFECYCLE;

  const decliners = parts.filter(({ decider }) => decider.declines !== undefined);
  const isDeclined = (event: DatsEvent): boolean =>
    decliners.length > 0 && decliners.some(({ decider, state }) => decider.declines!(state, event));

  const evolve = (event: DatsEvent, offset: number): void => {
    for (const part of parts) if (part.consumes.has(event.type)) part.decider.evolve(part.state, event, offset);
  };

  const say = (part: Part, drafts: readonly Draft[], by: Pick<Stamp, 'time' | 'cause' | 'afteroffset'>, said: Said[]): void => {
    const whole: Stamp = {
      source: options.source,
      actor: part.decider.name,
      configversion: options.configVersion(),
      time: by.time,
      cause: by.cause,
      afteroffset: by.afteroffset,
    };
    for (const draft of drafts) {
      const event = stamp(draft, whole);
      if (event.projectid === undefined)
        throw new Fault('fatal', 'decider_bug', `${part.decider.name} said a ${event.type} for no project`);
      said.push({ topic: draft.topic, key: draft.key ?? event.projectid, event });
      if (draft.topic === folded) evolve(event, by.afteroffset ?? -1);
    }
  };

  /** Answers `said[from..]` until quiet. */
  const quiet = (said: Said[], from: number, time: string, afteroffset: number): void => {
    for (let i = from; i < said.length; i++) {
      if (said.length > MAX_ANSWERS)
        throw new Fault('fatal', 'decider_loop', `more than ${MAX_ANSWERS} answers in one step; the last was a ${said.at(-1)!.event.type}`);
      const { event, topic } = said[i]!;
      if (topic === folded) answer(event, afteroffset, time, said);
    }
  };

  const answer = (event: DatsEvent, offset: number, time: string, said: Said[], afteroffset = offset): void => {
    for (const part of parts) {
      if (!part.consumes.has(event.type)) continue;
      const drafts = part.decider.decide(part.state, event, offset);
      if (drafts.length > 0) say(part, drafts, { time, cause: event, afteroffset }, said);
    }
  };

  /** The last word first: from then on the project is this node's, and what would be declined here was declined there. */
  const settleIn = ({ history, moved }: Arrival): void => {
    evolve(...moved);
    for (const [event, offset] of history) if (!isDeclined(event)) evolve(event, offset);
  };

  return {
    consumes: new Set(deciders.flatMap((d) => d.consumes)),
    take(event, offset) {
      if (event.source === options.source || isDeclined(event)) return [];
      const said: Said[] = [];
      const time = isoOf(options.now());
      evolve(event, offset);
      answer(event, offset, time, said);
      quiet(said, 0, time, offset);
      return said;
    },
    replay(event, offset) {
      if (!isDeclined(event)) evolve(event, offset);
    },
    takeOver(arrival) {
      const { undecided, moved } = arrival;
      const time = isoOf(options.now());
      const [last, at] = moved;
      const answers: (readonly Said[])[] = [];
      settleIn(arrival);
      for (const [event, offset] of [moved, ...undecided]) {
        if (event !== last && isDeclined(event)) continue;
        const said: Said[] = [];
        if (event !== last) evolve(event, offset);
        answer(event, offset, time, said, at);
        quiet(said, 0, time, at);
        answers.push(said);
      }
      return answers.flat();
    },
    replayArrival: settleIn,
    nextDue() {
      let due: number | undefined;
      for (const { decider, state } of parts) {
        const own = decider.nextDue?.(state);
        if (own !== undefined && (due === undefined || own < due)) due = own;
      }
      return due;
    },
    tick(now, afteroffset) {
      const said: Said[] = [];
      const time = isoOf(now);
      for (const part of parts) say(part, part.decider.tick?.(part.state, now) ?? [], { time, afteroffset }, said);
      quiet(said, 0, time, afteroffset);
      return said;
    },
    changes() {
      const all = new Map<string, string | null>();
      for (const { decider, state } of parts)
        for (const [key, value] of decider.changes(state)) all.set(`${decider.name}/${key}`, value === null ? null : JSON.stringify(value));
      return all;
    },
  };
};
