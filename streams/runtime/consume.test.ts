import { setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Fault, LETTER } from '../../schemas/index.js';
import type { Outgoing, Recorded } from '../log.js';
import { DONE_STATE } from './committer.js';
import { encodeMap } from './completion-map.js';
import { consumeWork } from './consume.js';
import { ABORT_GRACE_MS } from './drain.js';
import type { Ordering } from './keyed-queue.js';
import { Slots } from './slots.js';
import { ManualTimers } from './testing/manual-timers.js';
import { outputOf, TestPartition } from './testing/partition.js';
import type { WorkContext, WorkEvent, WorkOptions, WorkStats } from './work.js';

const retry = { maxAttempts: 3, baseMs: 100, maxMs: 1_000 };

/** A partition, its consumer, and what can be seen of it. */
const setup = (partition: TestPartition, options: Partial<WorkOptions> & Pick<WorkOptions, 'run'>) => {
  const timers = new ManualTimers();
  const events: WorkEvent[] = [];
  const { assignment, revoke } = partition.assign();
  const done = consumeWork(assignment, {
    group: 'g',
    concurrency: 10,
    maxInFlight: 100,
    retry,
    drainMs: 1_000,
    random: () => 0.5,
    timers,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const stats = (): WorkStats => {
    const [first] = events;
    if (first?.type !== 'started') throw new Error('it has not started');
    return first.stats();
  };
  const types = (): string[] => events.map((event) => event.type);
  const finish = (): Promise<void> => {
    revoke();
    return timers.until(done);
  };
  return { timers, events, types, stats, done, revoke, finish };
};

const values = (outputs: readonly Outgoing[], topic = 'dats.lifecycle'): string[] =>
  outputs.filter((output) => output.topic === topic).map((output) => String(output.value));

const filled = (count: number, key: (i: number) => string = (i) => `k${i}`): TestPartition => {
  const partition = new TestPartition();
  for (let i = 0; i < count; i++) partition.add(i, key(i));
  return partition;
};

/** Never aborts. */
const open = new AbortController().signal;
setMaxListeners(0, open);
const never = (): Promise<never> => new Promise(() => undefined);
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

describe('consumeWork', () => {
  it('writes the outputs of every record and commits past the last', async () => {
    const partition = filled(500);
    const { timers, finish } = setup(partition, { run: async (record) => [outputOf(record)] });
    await timers.advance(1);
    await finish();
    expect(values(partition.outputs).sort()).toEqual(Array.from({ length: 500 }, (_, i) => `done ${i}`).sort());
    expect(partition.committed).toBe(500);
  });

  it('commits in groups: what ends during a commit shares the next one', async () => {
    const partition = filled(50);
    const opened: (() => void)[] = [];
    partition.onCommit = () => new Promise((resolve) => opened.push(() => resolve(undefined)));
    const { timers, finish } = setup(partition, {
      concurrency: 1,
      run: async (record) => timers.delay(1, open).then(() => [outputOf(record)]),
    });
    await timers.advance(50);
    expect(opened).toHaveLength(1);
    opened.shift()!();
    await timers.turns();
    expect(opened).toHaveLength(1);
    opened.shift()!();
    await timers.turns();
    expect(partition.commits.map((commit) => commit.outputs.length)).toEqual([1, 49]);
    await finish();
  });

  it('never commits past a record that is not done, and does not run the others again afterwards', async () => {
    const partition = filled(30);
    const runs: number[] = [];
    const run = async (record: Recorded): Promise<Outgoing[]> => {
      runs.push(record.offset);
      if (record.offset === 3 && runs.length <= 30) await never();
      return [outputOf(record)];
    };
    const first = setup(partition, { run });
    await first.timers.advance(1);
    expect(partition.committed).toBe(3);
    expect(partition.outputs).toHaveLength(29);
    await first.finish();
    const second = setup(partition, { run });
    await second.timers.advance(1);
    expect(runs.slice(30)).toEqual([3]);
    expect(partition.committed).toBe(30);
    await second.finish();
  });

  it('keeps the map small with one stuck record in front of 50,000 done ones', async () => {
    const partition = filled(50_001);
    const run = async (record: Recorded) => (record.offset === 0 ? await never() : [outputOf(record)]);
    const { timers, stats, finish } = setup(partition, { run, maxInFlight: 1_000 });
    while (partition.outputs.length < 50_000) await timers.turns();
    expect(stats()).toMatchObject({ inFlight: 1, incomplete: 1 });
    expect(partition.states.get('done')!.length).toBeLessThan(24);
    expect(partition.committed).toBe(0);
    await finish();
  });

  it('holds no more records than it may, whatever is in the log', async () => {
    const partition = filled(1_000);
    const { timers, stats, finish } = setup(partition, { run: never, maxInFlight: 40, concurrency: 5 });
    await timers.advance(10_000);
    expect(stats()).toMatchObject({ inFlight: 40, running: 5, paused: true, oldestIncompleteMs: 10_000 });
    expect(partition.batches).toBe(4);
    await finish();
  });

  it('skips what a former owner had done and commits past it, though nothing runs here', async () => {
    const partition = filled(20);
    partition.states.set(DONE_STATE, encodeMap({ mark: 0, end: 20, runs: [] }, { epoch: 0, serial: 1 }));
    const runs: number[] = [];
    const { timers, finish } = setup(partition, {
      run: async (record) => {
        runs.push(record.offset);
        return [];
      },
    });
    await timers.turns();
    expect([runs, partition.committed]).toEqual([[], 20]);
    await finish();
  });
});

describe('consumeWork, when a record fails', () => {
  it('runs it again with backoff, without holding up other keys, and keeps the order of its own', async () => {
    const partition = filled(6, (i) => (i % 2 === 0 ? 'sick' : 'well'));
    const seen: string[] = [];
    const run = async (record: Recorded, { attempt }: WorkContext) => {
      seen.push(`${record.offset}/${attempt}`);
      if (record.offset === 0 && attempt < 3) throw new Fault('retryable', 'busy', 'busy');
      return [outputOf(record)];
    };
    const { timers, types, finish } = setup(partition, { run });
    await timers.advance(0);
    expect(seen).toEqual(['0/1', '1/1', '3/1', '5/1']);
    await timers.advance(50);
    expect(seen.slice(4)).toEqual(['0/2']);
    await timers.advance(100);
    expect(seen.slice(5)).toEqual(['0/3', '2/1', '4/1']);
    expect(types().filter((type) => type === 'retry')).toHaveLength(2);
    await finish();
  });

  it('waits without a slot', async () => {
    const partition = filled(3);
    const run = async (record: Recorded) => {
      if (record.offset === 0) throw new Fault('retryable', 'busy', 'busy');
      return [outputOf(record)];
    };
    const { timers, finish } = setup(partition, { run, concurrency: 1 });
    await timers.advance(0);
    expect(values(partition.outputs)).toEqual(['done 1', 'done 2']);
    await finish();
  });

  it('makes a dead letter and an alert of a poison record, in the commit that passes it, and the rest goes on', async () => {
    const partition = filled(10, () => 'one key');
    const run = async (record: Recorded) => {
      if (record.offset === 4) throw new Fault('terminal', 'bad_event', 'it makes no sense');
      return [outputOf(record)];
    };
    const { timers, finish, stats } = setup(partition, { run });
    await timers.advance(0);
    await finish();
    expect(values(partition.outputs)).toHaveLength(9);
    expect(partition.committed).toBe(10);
    const commit = partition.commits.find(({ outputs }) => outputs.some((output) => output.topic === 'dats.dlq'))!;
    expect(commit.outputs.filter((output) => output.topic !== 'dats.lifecycle')).toMatchObject([
      {
        topic: 'dats.dlq',
        key: 'one key',
        headers: { [LETTER.offset]: '4', [LETTER.code]: 'bad_event', [LETTER.attempts]: '1', [LETTER.retryable]: 'false' },
      },
      { topic: 'dats.telemetry', headers: { type: 'dats.ops.alert' } },
    ]);
    expect(stats().deadLetters).toBe(1);
  });

  it('gives up after the last attempt, and says when it failed first and last', async () => {
    const partition = filled(1);
    const run = async () => {
      throw new Error('nobody classified this');
    };
    const { timers, finish } = setup(partition, { run });
    const begin = timers.now();
    await timers.advance(150);
    await finish();
    const letter = partition.outputs.find((output) => output.topic === 'dats.dlq')!;
    expect(letter.headers).toMatchObject({
      [LETTER.attempts]: '3',
      [LETTER.code]: 'unexpected',
      [LETTER.retryable]: 'true',
      [LETTER.firstFailedAt]: new Date(begin).toISOString(),
      [LETTER.failedAt]: new Date(begin + 150).toISOString(),
    });
    expect(partition.committed).toBe(1);
  });

  it('drops a fenced one silently: no output, no dead letter, not run again', async () => {
    const partition = filled(2);
    const run = async (record: Recorded) => {
      if (record.offset === 0) throw new Fault('fenced', 'cancelled', 'somebody else decides');
      return [outputOf(record)];
    };
    const { timers, finish } = setup(partition, { run });
    await timers.advance(0);
    expect(partition.outputs.map((output) => output.value)).toEqual(['done 1']);
    expect(partition.committed).toBe(2);
    await finish();
  });

  it('ends with the fault of a fatal one, having told the others to stop', async () => {
    const partition = filled(3);
    const aborted: number[] = [];
    const run = async (record: Recorded, { signal }: WorkContext) => {
      if (record.offset === 2) throw new Fault('fatal', 'out_of_memory', 'the process cannot go on');
      await untilAborted(signal);
      aborted.push(record.offset);
      return [];
    };
    const { done } = setup(partition, { run });
    await expect(done).rejects.toMatchObject({ code: 'out_of_memory' });
    expect(aborted).toEqual([0, 1]);
    expect(partition.committed).toBe(0);
  });
});

describe('consumeWork, when revoked', () => {
  it('starts nothing more, lets what runs finish, commits it and returns', async () => {
    const partition = filled(10);
    const started: number[] = [];
    const { timers, done, revoke, events } = setup(partition, {
      concurrency: 3,
      run: async (record) => {
        started.push(record.offset);
        await timers.delay(500, open);
        return [outputOf(record)];
      },
    });
    await timers.advance(100);
    revoke();
    await timers.advance(399);
    expect(partition.outputs).toHaveLength(0);
    await timers.advance(1);
    await done;
    expect(started).toEqual([0, 1, 2]);
    expect(partition.committed).toBe(3);
    expect(events.at(-1)).toEqual({ type: 'drained', left: 7 });
  });

  it('aborts what still runs after drainMs, takes what it then still finishes, and leaves the rest uncommitted', async () => {
    const partition = filled(2);
    const run = async (record: Recorded, { signal }: WorkContext) => {
      await untilAborted(signal);
      if (record.offset === 0) throw new Fault('terminal', 'aborted', 'the call was aborted');
      return [outputOf(record)];
    };
    const { timers, done, revoke } = setup(partition, { run });
    await timers.advance(0);
    revoke();
    await timers.advance(999);
    expect(partition.commits).toHaveLength(0);
    await timers.advance(1);
    await done;
    expect(partition.outputs.map((output) => output.value)).toEqual(['done 1']);
    expect(partition.committed).toBe(0);
  });

  it('returns within its bound though a run ignores its signal and commits fail', async () => {
    const partition = filled(5);
    partition.onCommit = () => ({ at: 'before', fault: new Fault('retryable', 'disk_full', 'the disk is full') });
    const { timers, done, revoke } = setup(partition, {
      run: async (record) => (record.offset === 0 ? await never() : [outputOf(record)]),
    });
    await timers.advance(0);
    revoke();
    const begin = timers.now();
    await timers.until(done);
    expect(timers.now() - begin).toBeLessThanOrEqual(1_000 + 2 * ABORT_GRACE_MS);
  });

  it('does not wait for a retry', async () => {
    const partition = filled(1);
    const run = async () => {
      throw new Fault('retryable', 'busy', 'busy', { retryAfterMs: 60_000 });
    };
    const { timers, done, revoke } = setup(partition, { run });
    await timers.advance(0);
    revoke();
    await timers.advance(0);
    await done;
    expect([partition.committed, partition.outputs.length, timers.waiting]).toEqual([0, 0, 0]);
  });

  it('ignores what a run that was left behind brings later', async () => {
    const partition = filled(1);
    let bring: (outputs: Outgoing[]) => void = () => undefined;
    const { finish, timers } = setup(partition, { run: () => new Promise((resolve) => (bring = resolve)) });
    await timers.advance(0);
    await finish();
    bring([outputOf(partition.records[0]!)]);
    await timers.turns();
    expect([partition.committed, partition.outputs.length]).toEqual([0, 0]);
  });
});

describe('consumeWork, when commits fail', () => {
  it('keeps the outputs, takes no more records, tries again with backoff, and goes on', async () => {
    const partition = filled(200);
    let failing = true;
    partition.onCommit = () => (failing ? { at: 'before', fault: new Fault('retryable', 'disk_full', 'the disk is full') } : undefined);
    const { timers, finish, stats, types } = setup(partition, { run: async (record) => [outputOf(record)], maxInFlight: 40 });
    await timers.advance(60_000);
    expect(partition.outputs).toHaveLength(0);
    expect(stats()).toMatchObject({ paused: true });
    expect(stats().inFlight).toBeLessThanOrEqual(40);
    expect(types().filter((type) => type === 'commit_failed').length).toBeLessThan(100);
    failing = false;
    await timers.advance(5_000);
    expect(new Set(values(partition.outputs)).size).toBe(200);
    expect(partition.outputs).toHaveLength(200);
    expect(types()).toContain('commit_recovered');
    await finish();
  });

  it('asks for no more records until they work again', async () => {
    const partition = filled(1);
    partition.onCommit = () => ({ at: 'before', fault: new Fault('retryable', 'disk_full', 'the disk is full') });
    const { timers, finish } = setup(partition, { run: async (record) => [outputOf(record)] });
    await timers.advance(10);
    // The one that was asked for before the failure still comes.
    for (const offset of [1, 2, 3]) {
      partition.add(offset, 'k');
      await timers.advance(10);
    }
    expect(partition.batches).toBe(2);
    partition.onCommit = () => undefined;
    await timers.advance(2_000);
    expect(partition.committed).toBe(4);
    await finish();
  });

  it('recognises a commit whose acknowledgement was lost', async () => {
    const partition = filled(100);
    let commits = 0;
    partition.onCommit = () =>
      ++commits % 2 === 1 ? { at: 'after', fault: new Fault('retryable', 'connection_lost', 'no answer') } : undefined;
    const { timers, finish } = setup(partition, { run: (record) => timers.delay(record.offset, open).then(() => [outputOf(record)]) });
    await timers.advance(60_000);
    await finish();
    expect(values(partition.outputs).sort()).toEqual(Array.from({ length: 100 }, (_, i) => `done ${i}`).sort());
  });

  it('stops at once when fenced, writes nothing more and returns', async () => {
    const partition = filled(20);
    const reasons: unknown[] = [];
    const run = async (record: Recorded, { signal }: WorkContext) => {
      if (record.offset > 0) return [outputOf(record)];
      await untilAborted(signal);
      reasons.push(signal.reason);
      return [];
    };
    const { timers, done, types } = setup(partition, { run });
    partition.epoch++;
    await timers.until(done);
    expect(types().at(-1)).toBe('fenced');
    expect(partition.outputs).toHaveLength(0);
    expect(reasons).toMatchObject([{ kind: 'fenced' }]);
  });

  it('ends with a fatal fault of the log', async () => {
    const partition = filled(1);
    partition.onCommit = () => ({ at: 'before', fault: new Fault('fatal', 'log_closed', 'the log is closed') });
    const { done } = setup(partition, { run: async () => [] });
    await expect(done).rejects.toMatchObject({ code: 'log_closed' });
  });

  it('makes a dead letter of the record whose outputs the log refuses, and commits all others', async () => {
    const partition = filled(60);
    const refused = new Fault('terminal', 'record_too_large', 'too large');
    partition.onCommit = ({ outputs }) =>
      values(outputs).some((value) => value.length > 100) ? { at: 'before', fault: refused } : undefined;
    const run = async (record: Recorded) => [outputOf(record, record.offset % 20 === 7 ? 'x'.repeat(100) : 'done')];
    const { timers, finish } = setup(partition, { run });
    await timers.advance(0);
    await finish();
    expect(new Set(values(partition.outputs)).size).toBe(57);
    const letters = partition.outputs.filter((output) => output.topic === 'dats.dlq');
    expect(letters.map((letter) => letter.headers[LETTER.offset])).toEqual(['7', '27', '47']);
    expect(letters[0]!.headers[LETTER.code]).toBe('record_too_large');
    expect(partition.committed).toBe(60);
  });
});

describe('emit', () => {
  it('resolves when the outputs are durable, before the run ends', async () => {
    const partition = filled(1);
    const { timers, finish } = setup(partition, {
      run: async (record, context) => {
        await context.emit([outputOf(record, 'started')]);
        expect(values(partition.outputs)).toEqual(['started 0']);
        await timers.delay(1_000, open);
        return [outputOf(record)];
      },
    });
    await timers.advance(999);
    expect(partition.committed).toBe(0);
    await timers.advance(1);
    await finish();
    expect(values(partition.outputs)).toEqual(['started 0', 'done 0']);
    expect(partition.committed).toBe(1);
  });

  it('rejects with the fault of a log that refuses it, and nobody else is harmed', async () => {
    const partition = filled(5);
    const refused = new Fault('terminal', 'record_too_large', 'too large');
    partition.onCommit = ({ outputs }) =>
      values(outputs).some((value) => value.length > 100) ? { at: 'before', fault: refused } : undefined;
    const run = async (record: Recorded, context: WorkContext) => {
      await context.emit([outputOf(record, record.offset === 2 ? 'x'.repeat(100) : 'started')]);
      return [outputOf(record)];
    };
    const { timers, finish } = setup(partition, { run });
    await timers.advance(0);
    await finish();
    expect(values(partition.outputs).sort()).toEqual([0, 1, 3, 4].flatMap((i) => [`done ${i}`, `started ${i}`]).sort());
    expect(values(partition.outputs, 'dats.dlq')).toHaveLength(1);
  });

  it('rejects when the partition is gone, also long after', async () => {
    const partition = filled(1);
    let late: WorkContext | undefined;
    const { timers, finish } = setup(partition, {
      run: (_, context) => {
        late = context;
        return never();
      },
    });
    await timers.advance(0);
    await finish();
    await expect(late!.emit([outputOf(partition.records[0]!)])).rejects.toMatchObject({ kind: 'fenced' });
    expect(late!.signal.aborted).toBe(true);
    expect(partition.outputs).toHaveLength(0);
  });
});

describe('parallelism', () => {
  const duration = async (ordering: Ordering): Promise<number> => {
    const partition = filled(1_000, (i) => `k${i % 20}`);
    const { timers, finish } = setup(partition, {
      ordering,
      concurrency: 100,
      maxInFlight: 500,
      run: (record) => timers.delay((record.offset * 7) % 6, open).then(() => [outputOf(record)]),
    });
    const begin = timers.now();
    while (partition.committed < 1_000) await timers.advance(1);
    const ms = timers.now() - begin;
    await finish();
    return ms;
  };

  it('by key is nearly as many times faster than partition order as there are keys', async () => {
    expect((await duration('partition')) / (await duration('key'))).toBeGreaterThan(15);
  });
});

describe('slots shared by two partitions', () => {
  it('are never exceeded, and both get on', async () => {
    const timers = new ManualTimers();
    const slots = new Slots(4);
    let running = 0;
    let most = 0;
    const run = async (record: Recorded) => {
      most = Math.max(most, ++running);
      await timers.delay(10, open);
      running--;
      return [outputOf(record)];
    };
    const partitions = [filled(100), filled(100)];
    const consumers = partitions.map((partition) => setup(partition, { run, concurrency: slots, timers }));
    await timers.advance(250);
    expect(Math.abs(partitions[0]!.outputs.length - partitions[1]!.outputs.length)).toBeLessThanOrEqual(4);
    await timers.advance(260);
    expect(most).toBe(4);
    expect(partitions.map((partition) => partition.committed)).toEqual([100, 100]);
    for (const consumer of consumers) consumer.revoke();
    await Promise.all(consumers.map((consumer) => timers.until(consumer.done)));
    expect(slots.taken).toBe(0);
  });
});

describe('options', () => {
  it('must make sense', async () => {
    const { assignment } = new TestPartition().assign();
    const options: WorkOptions = { group: 'g', concurrency: 1, run: async () => [] };
    await expect(consumeWork(assignment, { ...options, maxInFlight: 0 })).rejects.toMatchObject({ code: 'bad_option' });
    await expect(consumeWork(assignment, { ...options, concurrency: 0 })).rejects.toMatchObject({ code: 'bad_option' });
  });
});
