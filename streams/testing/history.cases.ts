// Contract: random histories on the adapter and on the memory log must look the same (fast-check prints the seed of a failure).
import fc from 'fast-check';
import { expect } from 'vitest';
import { LIFECYCLE, TELEMETRY, type Topic } from '../../schemas/index.js';
import type { Assignment, Log, Outgoing } from '../log.js';
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

/** Carries out steps on one log and says what came of each. */
class Subject {
  readonly #open: () => Promise<Log>;
  #log!: Log;
  #leave: (() => Promise<void>) | undefined;
  #owned = new Map<number, Assignment>();
  #next = new Map<number, number>();

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
    const lag = (await this.#log.lag('group', [LIFECYCLE])).map(({ owner: _, ...rest }) => rest);
    await this.#join();
    const states: unknown[] = [];
    for (const p of KEYS.keys()) {
      for await (const [key, value] of this.#owned.get(p)!.states()) states.push([p, key, text(value)]);
      states.push(this.#owned.get(p)!.committed <= (lag[p]?.committed ?? 0));
    }
    return { records: all.flat().map(plain), lag, states };
  }

  async #run(current: Step): Promise<unknown> {
    switch (current.kind) {
      case 'append':
        return this.#log.append(current.records);
      case 'read':
        return (await readAll(this.#log, LIFECYCLE, current.partition, current.from)).map(plain);
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
        const next = (this.#next.get(current.partition) ?? assignment.committed) + current.advance;
        const positions = await assignment.commit({ next, outputs: current.outputs, states: new Map(current.states) });
        this.#next.set(current.partition, next);
        return positions;
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
    async () => {
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
        { numRuns: 25, seed },
      );
    },
  ],
];
