// Random histories: whatever crashes, fails or is taken over, every record's outputs are in the log exactly once, and keys keep their order.
import { setMaxListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../schemas/index.js';
import type { Assignment, Log, Recorded } from '../log.js';
import { openMemoryLog } from '../memory/index.js';
import { consumeWork } from './consume.js';
import { ManualTimers } from './testing/manual-timers.js';
import { type CommitFault, fenced, outputOf, TestPartition } from './testing/partition.js';
import type { WorkContext } from './work.js';

const never = new AbortController().signal;
setMaxListeners(0, never);
const lost = new Fault('retryable', 'connection_lost', 'no answer');

/** What befalls the n-th commit of an owner. */
const fate = fc.constantFrom('ok', 'ok', 'fails before', 'fails after', 'dies before', 'dies after');
type Fate = 'ok' | 'fails before' | 'fails after' | 'dies before' | 'dies after';

const faultOf = (what: Fate): CommitFault | undefined =>
  what === 'ok' ? undefined : { at: what.endsWith('before') ? 'before' : 'after', fault: what.startsWith('dies') ? fenced() : lost };

const scenario = fc.record({
  records: fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), key: fc.constantFrom('a', 'b', 'c', 'd', 'e') }), {
    minLength: 1,
    maxLength: 60,
  }),
  owners: fc.array(fc.array(fate, { maxLength: 8 }), { maxLength: 5 }),
  durations: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 20 }),
  revokeAfter: fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 6, maxLength: 6 }),
  concurrency: fc.integer({ min: 1, max: 8 }),
  maxInFlight: fc.integer({ min: 1, max: 20 }),
});

describe('exactly once', () => {
  it('holds through crashes, lost acknowledgements, failing commits and revocations', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ records, owners, durations, revokeAfter, concurrency, maxInFlight }) => {
        const partition = new TestPartition();
        let offset = -1;
        for (const { gap, key } of records) {
          offset += gap;
          partition.add(offset, key);
        }
        const written = (): Map<string, number[]> => {
          const byKey = new Map<string, number[]>();
          for (const { key, value } of partition.outputs)
            if (String(value).startsWith('done')) byKey.set(key, [...(byKey.get(key) ?? []), Number(String(value).slice(5))]);
          return byKey;
        };
        for (const [turn, fates] of [...owners, []].entries()) {
          const timers = new ManualTimers();
          const last = turn === owners.length;
          let commit = 0;
          let dead = false;
          partition.onCommit = (next) => {
            const done = new Set([...written().values()].flat());
            for (const output of next.outputs) if (String(output.value).startsWith('done')) done.add(Number(String(output.value).slice(5)));
            for (const record of partition.records) if (record.offset < next.next) expect(done.has(record.offset)).toBe(true);
            const what: Fate = dead ? 'dies before' : (fates[commit++] ?? 'ok');
            dead ||= what.startsWith('dies');
            return faultOf(what);
          };
          const { assignment, revoke } = partition.assign();
          const running = new Set<string>();
          const run = async (record: Recorded, context: WorkContext) => {
            expect(running.has(record.key)).toBe(false);
            running.add(record.key);
            try {
              if (record.offset % 4 === 0) await context.emit([outputOf(record, 'started')]);
              await timers.delay(durations[record.offset % durations.length]!, never);
              if (record.offset % 5 === 0 && context.attempt === 1) throw new Fault('retryable', 'busy', 'busy');
              return [outputOf(record)];
            } finally {
              running.delete(record.key);
            }
          };
          const done = consumeWork(assignment, {
            group: 'g',
            concurrency,
            maxInFlight,
            run,
            timers,
            drainMs: 10,
            retry: { maxAttempts: 9, baseMs: 10, maxMs: 50 },
            random: () => 0.5,
          });
          await timers.advance(last ? 100_000 : revokeAfter[turn]!);
          revoke();
          await timers.until(done);
        }
        expect([...written().values()].flat().sort((a, b) => a - b)).toEqual(partition.records.map((record) => record.offset));
        for (const offsets of written().values()) expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
        expect(partition.committed).toBe(offset + 1);
      }),
      { numRuns: 60 },
    );
  });
});

describe('on the memory log', () => {
  /** The process dies at its n-th commit: it writes nothing more. */
  const dying = (assignment: Assignment, at: number, written: boolean): Assignment => {
    let commits = 0;
    return {
      ...assignment,
      commit: async (commit) => {
        if (++commits > at) throw fenced();
        if (commits < at) return assignment.commit(commit);
        if (written) await assignment.commit(commit);
        throw fenced();
      },
    };
  };

  const outputs = async (log: Log): Promise<string[]> => {
    const all: string[] = [];
    const { end } = await log.range('dats.lifecycle', 0);
    for await (const batch of log.read({ topic: 'dats.lifecycle', partition: 0, offset: 0 }, never, { until: end }))
      all.push(...batch.map((record) => String(record.value)));
    return all;
  };

  it('every record has its output once, whoever died and took over', async () => {
    const log = openMemoryLog({ partitions: 1 });
    const count = 400;
    await log.append(
      Array.from({ length: count }, (_, i) => ({ topic: 'dats.work.small' as const, key: `k${i % 7}`, headers: {}, value: String(i) })),
    );
    const consumer = (assignment: Assignment) =>
      consumeWork(assignment, { group: 'g', concurrency: 20, maxInFlight: 64, run: async (record) => [outputOf(record)] });
    for (const [at, written] of [
      [1, false],
      [2, true],
      [3, false],
      [2, false],
      [1, true],
    ] as const) {
      let died: () => void = () => undefined;
      const death = new Promise<void>((resolve) => {
        died = resolve;
      });
      const member = await log.join('g', ['dats.work.small'], (assignment) => consumer(dying(assignment, at, written)).finally(died));
      await death;
      await member.leave();
      await member.done;
    }
    const finished = new Promise<void>((resolve, reject) => {
      const watch = async (): Promise<void> => {
        for (;;) {
          const lag = await log.lag('g', ['dats.work.small']);
          if (lag[0]!.lag === 0) return resolve();
          await new Promise((next) => setImmediate(next));
        }
      };
      watch().catch(reject);
    });
    const member = await log.join('g', ['dats.work.small'], consumer);
    await finished;
    await member.leave();
    await member.done;
    expect((await outputs(log)).sort()).toEqual(Array.from({ length: count }, (_, i) => `done ${i}`).sort());
    await log.close();
  });
});
