// Contract: random histories on the adapter and on the memory log must look the same (fast-check prints the seed of a failure).
import fc from 'fast-check';
import { expect } from 'vitest';
import { LIFECYCLE, type Position, TELEMETRY, type Topic } from '../../schemas/index.js';
import type { Assignment, Log, Outgoing, Recorded } from '../log.js';
import { MemoryStore, openMemoryLog } from '../memory/index.js';
import { Collector, hold, keyIn, plain, readAll, text } from './log-driver.js';
import type { Case, LogHarness } from './log-harness.js';
import { PARTITIONS } from './log-harness.js';

const TOPICS: readonly Topic[] = [LIFECYCLE, TELEMETRY];
const KEYS = Array.from({ length: PARTITIONS }, (_, partition) => keyIn(partition, PARTITIONS, 'ü'));

type Step =
  | { readonly kind: 'append'; readonly records: readonly Outgoing[] }
  | {
      readonly kind: 'commit';
      readonly partition: number;
      readonly advance: number;
      readonly outputs: readonly Outgoing[];
      readonly states: readonly (readonly [string, string | null])[];
    }
  | { readonly kind: 'join' | 'leave' | 'reopen' }
  | { readonly kind: 'read'; readonly partition: number; readonly from: number };

const outgoing: fc.Arbitrary<Outgoing> = fc.record({
  topic: fc.constantFrom(...TOPICS),
  key: fc.constantFrom(...KEYS),
  headers: fc.dictionary(fc.constantFrom('type', 'a', 'ü', 'subject'), fc.string({ unit: 'grapheme', maxLength: 12 })),
  value: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.uint8Array({ maxLength: 40 })),
});
const records = fc.array(outgoing, { maxLength: 6 });
const partition = fc.integer({ min: 0, max: PARTITIONS - 1 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), records }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      partition,
      advance: fc.integer({ min: -1, max: 4 }),
      outputs: records,
      states: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'b/1', 'ü'), fc.option(fc.string({ maxLength: 8 }))), { maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('join' as const, 'leave' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), partition, from: fc.integer({ min: 0, max: 10 }) }) },
);

/**
 * Carries out steps on one log and says what came of each. Offsets may have gaps (L1), and another adapter has other gaps: so they are told, and shown,
 * as ranks: how many records of the partition are below.
 */
class Subject {
  readonly #open: () => Promise<Log>;
  #log!: Log;
  #leave: (() => Promise<void>) | undefined;
  #owned = new Map<number, Assignment>();
  #next = new Map<number, number>();
  /** Offsets of the records written so far, by `topic/partition`. */
  readonly #offsets = new Map<string, number[]>();

  constructor(open: () => Promise<Log>) {
    this.#open = open;
  }

  async start(): Promise<void> {
    this.#log = await this.#open();
  }

  async run(current: Step): Promise<unknown> {
    try {
      return await this.#run(current);
    } catch (error) {
      return { failed: (error as { code?: string }).code };
    }
  }

  async stop(): Promise<void> {
    await this.#log.close();
  }

  /** Everything there is, as far as the port shows it. */
  async contents(): Promise<unknown> {
    const all = await Promise.all(TOPICS.flatMap((topic) => KEYS.map((_, p) => readAll(this.#log, topic, p))));
    const lag = (await this.#log.lag('group', [LIFECYCLE])).map(({ owner: _, lag: behind, topic, partition: p, committed, end }) => {
      expect(behind).toBe(end - committed);
      return { topic, partition: p, committed: this.#rank(topic, p, committed), end: this.#rank(topic, p, end) };
    });
    await this.#join();
    const states: unknown[] = [];
    for (const p of KEYS.keys()) {
      for await (const [key, value] of this.#owned.get(p)!.states()) states.push([p, key, text(value)]);
      states.push(this.#owned.get(p)!.committed <= (lag[p]?.committed ?? 0));
    }
    return { records: all.flat().map((found) => this.#shown(found)), lag, states };
  }

  async #run(current: Step): Promise<unknown> {
    switch (current.kind) {
      case 'append':
        return this.#note(await this.#log.append(current.records));
      case 'read':
        return (await readAll(this.#log, LIFECYCLE, current.partition, await this.#offsetOf(current.partition, current.from))).map(
          (found) => this.#shown(found),
        );
      case 'join':
        return this.#join();
      case 'leave':
        return this.#quit();
      case 'reopen':
        this.#forget();
        await this.#log.close();
        return this.start();
      case 'commit': {
        const assignment = this.#owned.get(current.partition);
        if (assignment === undefined) return 'not owned';
        const rank =
          (this.#next.get(current.partition) ?? this.#rank(LIFECYCLE, current.partition, assignment.committed)) + current.advance;
        const next = await this.#offsetOf(current.partition, rank);
        const positions = await assignment.commit({ next, outputs: current.outputs, states: new Map(current.states) });
        this.#next.set(current.partition, rank);
        return this.#note(positions);
      }
    }
  }

  async #join(): Promise<void> {
    if (this.#leave !== undefined) return;
    const arrived = new Collector<Assignment>();
    const membership = await this.#log.join('group', [LIFECYCLE], async (assignment) => {
      arrived.push(assignment);
      await hold(assignment);
    });
    await arrived.until((items) => items.length === PARTITIONS);
    for (const assignment of arrived.items) this.#owned.set(assignment.partition, assignment);
    this.#leave = () => membership.leave();
  }

  async #quit(): Promise<void> {
    const leave = this.#leave;
    this.#forget();
    await leave?.();
  }

  #note(positions: readonly Position[]): unknown {
    for (const { topic, partition: p, offset } of positions) this.#known(topic, p).push(offset);
    return positions.map(({ topic, partition: p, offset }) => ({ topic, partition: p, rank: this.#rank(topic, p, offset) }));
  }

  #shown(found: Recorded): unknown {
    const { offset, ...rest } = plain(found);
    return { ...rest, rank: this.#rank(found.topic, found.partition, offset) };
  }

  #known(topic: Topic, p: number): number[] {
    const key = `${topic}/${p}`;
    const known = this.#offsets.get(key) ?? [];
    this.#offsets.set(key, known);
    return known;
  }

  #rank(topic: Topic, p: number, offset: number): number {
    return this.#known(topic, p).filter((known) => known < offset).length;
  }

  /** The offset after `rank` records of the lifecycle partition; beyond the end for more than there are. */
  async #offsetOf(p: number, rank: number): Promise<number> {
    const known = this.#known(LIFECYCLE, p);
    if (rank <= 0) return rank;
    if (rank <= known.length) return known[rank - 1]! + 1;
    return (await this.#log.range(LIFECYCLE, p)).end + rank - known.length;
  }

  #forget(): void {
    this.#leave = undefined;
    this.#owned = new Map();
    this.#next = new Map();
  }
}

/** The seed stands in the name of the test, so that every run can be repeated. */
export const historyCases = (make: () => Promise<LogHarness>, seed = Date.now() % 0x7fffffff): readonly Case[] => [
  [
    `random histories have the same outcome as on the memory log (seed ${seed})`,
    async ({ histories = 25 }) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
          const harness = await make();
          const store = new MemoryStore();
          const model = new Subject(async () => openMemoryLog({ partitions: PARTITIONS, store }));
          const subject = new Subject(() => harness.open());
          await Promise.all([model.start(), subject.start()]);
          try {
            for (const current of steps) expect(await subject.run(current)).toEqual(await model.run(current));
            expect(await subject.contents()).toEqual(await model.contents());
          } finally {
            await Promise.all([model.stop(), subject.stop()]);
            await harness.dispose();
          }
        }),
        { numRuns: histories, seed },
      );
    },
  ],
];
