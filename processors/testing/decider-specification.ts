// Tests of deciders as sentences: `given(decider, events).when(event).then(drafts)`.
//
// S1. Every sentence is checked twice: on the state that folded the events, and on one restored from the entries that it committed (D3).
// S2. As in the host, drafts of a type that the decider consumes are folded back before the sentence ends, at the offset of their cause.
import assert from 'node:assert/strict';
import { type DataOf, type DatsEvent, dataschemaOf, derivedId, type EventOf, type EventType, LIFECYCLE } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import type { Draft } from '../draft.js';

export const SPECIFIED_AT = '2026-01-01T00:00:00.000Z';

export interface EventDetails {
  readonly id?: string;
  /** RFC 3339; default SPECIFIED_AT. */
  readonly time?: string;
  readonly subject?: string;
  readonly projectid?: string;
}

/** An event as the log would hold it; only what a test is about has to be said. */
export const eventOf = <T extends EventType>(type: T, data: DataOf<T>, details: EventDetails = {}): EventOf<T> => {
  const subject = details.subject ?? ('task_id' in data && typeof data.task_id === 'string' ? data.task_id : 'subject');
  return {
    specversion: '1.0',
    id: details.id ?? derivedId(type, JSON.stringify(data), details.time ?? SPECIFIED_AT),
    source: '/testing',
    type,
    time: details.time ?? SPECIFIED_AT,
    subject,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: details.projectid ?? 'project',
    correlationid: 'correlation',
    actor: 'tester',
    configversion: '1',
    data,
  } as EventOf<T>;
};

/** The event that a host would make of a draft. */
export const eventOfDraft = (draft: Draft, cause: { readonly time: string; readonly projectid: string }): DatsEvent =>
  eventOf<EventType>(draft.type, draft.data, {
    time: cause.time,
    subject: draft.subject,
    projectid: cause.projectid,
    ...(draft.id === undefined ? {} : { id: draft.id }),
  });

/** A decider with its state and everything that it committed so far. */
export interface Fold<State> {
  /** Folds and decides, then folds its own drafts as a host does. @returns the drafts, those that answer its own drafts included. */
  take(event: DatsEvent, offset: number): Draft[];
  /** What is due at `now` (milliseconds since the epoch), folded back likewise. */
  tick(now: number): Draft[];
  /** The entries committed so far: what a restart would restore. */
  entries(): Map<string, unknown>;
  readonly state: State;
}

/** Rounds in which drafts may cause drafts; a decider that needs more answers itself for ever. */
const QUIET_LIMIT_ROUNDS = 100;

export const foldOf = <State>(decider: Decider<State>, from?: Iterable<readonly [string, unknown]>): Fold<State> => {
  const committed = new Map<string, unknown>(from ?? []);
  const state = from === undefined ? decider.initialState() : decider.restore(structuredClone([...committed]));
  const consumes = new Set<string>(decider.consumes);

  const settle = (first: readonly Draft[], cause: { readonly time: string; readonly projectid: string }, offset: number): Draft[] => {
    const said: Draft[] = [...first];
    let fresh: readonly Draft[] = first;
    for (let round = 0; fresh.some((draft) => draft.topic === LIFECYCLE && consumes.has(draft.type)); round++) {
      if (round === QUIET_LIMIT_ROUNDS) throw new Error(`${decider.name} still answers itself after ${QUIET_LIMIT_ROUNDS} rounds`);
      const next: Draft[] = [];
      for (const draft of fresh) {
        if (draft.topic !== LIFECYCLE || !consumes.has(draft.type)) continue;
        const event = eventOfDraft(draft, cause);
        decider.evolve(state, event, offset);
        next.push(...decider.decide(state, event, offset));
      }
      said.push(...next);
      fresh = next;
    }
    for (const [key, value] of decider.changes(state)) {
      if (value === null) committed.delete(key);
      else committed.set(key, JSON.parse(JSON.stringify(value)));
    }
    return said;
  };

  return {
    state,
    take: (event, offset) => {
      if (!consumes.has(event.type)) return [];
      decider.evolve(state, event, offset);
      return settle(decider.decide(state, event, offset), event, offset);
    },
    tick: (now) => {
      const due = decider.tick?.(state, now) ?? [];
      // As the host: a timer is no cause.
      for (const { type, chain } of due) assert(chain !== undefined, `a ${type} without a cause must bring its chain`);
      return settle(due, { time: new Date(now).toISOString(), projectid: 'project' }, -1);
    },
    entries: () => new Map([...committed].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
};

export interface Outcome {
  /** Exactly these drafts, in this order; a function checks them itself. */
  then(expected: readonly Draft[] | ((drafts: readonly Draft[]) => void)): void;
  thenNothing(): void;
  /** Types of the drafts, in this order. */
  thenTypes(expected: readonly EventType[]): void;
  /** The entries of the state afterwards. */
  thenEntries(expected: Readonly<Record<string, unknown>>): void;
  readonly drafts: readonly Draft[];
}

export interface Given {
  /** The event arrives; default offset: after those given. */
  when(event: DatsEvent, offset?: number): Outcome;
  /** Time passes until `now`, milliseconds since the epoch. */
  whenTime(now: number): Outcome;
}

/** The events stand at offsets 0, 1, 2, ... */
export const given = <State>(decider: Decider<State>, events: readonly DatsEvent[]): Given => {
  const live = foldOf(decider);
  events.forEach((event, offset) => {
    live.take(event, offset);
  });
  const restored = foldOf(decider, live.entries());

  const outcome = (drafts: readonly Draft[], again: readonly Draft[]): Outcome => {
    assert.deepStrictEqual(again, drafts, `${decider.name} decides otherwise after a restart`);
    assert.deepStrictEqual([...restored.entries()], [...live.entries()], `${decider.name} has other entries after a restart`);
    return {
      drafts,
      // biome-ignore lint/suspicious/noThenProperty: a sentence of a specification, never awaited
      then: (expected) => (typeof expected === 'function' ? expected(drafts) : assert.deepStrictEqual(drafts, expected)),
      thenNothing: () => assert.deepStrictEqual(drafts, []),
      thenTypes: (expected) =>
        assert.deepStrictEqual(
          drafts.map(({ type }) => type),
          expected,
        ),
      thenEntries: (expected) => assert.deepStrictEqual(Object.fromEntries(live.entries()), expected),
    };
  };
  return {
    when: (event, offset = events.length) => outcome(live.take(event, offset), restored.take(event, offset)),
    whenTime: (now) => outcome(live.tick(now), restored.tick(now)),
  };
};
