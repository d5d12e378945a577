// What dies when: at every point the batch is in once afterwards, in every table.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault, LIFECYCLE, TELEMETRY, type Topic } from '../../../schemas/index.js';
import type { Analytics, Log, Outgoing } from '../../../streams/index.js';
import { MemoryStore, openMemoryLog } from '../../../streams/memory/index.js';
import { randomOf } from '../testing/histories.js';
import type { EventRow } from './row.js';
import { AGGREGATE_TABLES, EVENTS, ROW_TABLES } from './tables.js';
import { append, caughtUp, WITHIN } from './testing/catching-up.js';
import { cleanUp, openEmbedded } from './testing/engine.js';
import { type EventsInsert, faulty, lagOf, startIngester } from './testing/ingester.js';
import { script } from './testing/script.js';
import { lasting, tallyOf, tallyOfLog } from './testing/tally.js';

const SEED = Number(process.env['DATS_SEED'] ?? Date.now() % 1_000_000);
const DAY_MS = 86_400_000;
const lost = (): Fault => new Fault('retryable', 'lost', 'nobody knows whether it is in');

/** A store behind which the process dies: nothing is asked or told any more. */
const mortal = (store: Analytics) => {
  let dead = false;
  const alive = <T>(act: () => Promise<T>): Promise<T> => (dead ? Promise.reject(lost()) : act());
  const mortalStore: Analytics = {
    insert: (...args) => alive(() => store.insert(...args)),
    command: (...args) => alive(() => store.command(...args)),
    query: (...args) => alive(() => store.query(...args)),
    ask: (...args) => alive(() => store.ask(...args)),
    health: () => store.health(),
    close: () => store.close(),
  };
  return {
    store: mortalStore,
    die: () => {
      dead = true;
    },
  };
};

describe('a history that is interrupted', () => {
  let shared: MemoryStore;
  let log: Log;
  let store: Analytics;
  let random: () => number;
  const logs: Log[] = [];
  const openLog = (node: string): Log => {
    const opened = openMemoryLog({ partitions: 2, store: shared, node });
    logs.push(opened);
    return opened;
  };
  beforeEach(() => {
    console.log(`history: DATS_SEED=${SEED}`);
    random = randomOf(SEED);
    shared = new MemoryStore();
    log = openLog('first');
    store = openEmbedded();
  });
  afterEach(async () => {
    await Promise.all(logs.splice(0).map((one) => one.close()));
    await cleanUp();
  });

  test.each([
    ['after an insert was applied (the acknowledgement is lost)', true],
    ['before it', false],
  ] as const)('%s, every third time, while events go on', async (_, applied) => {
    const { records } = script({ tasks: 150, random });
    let sent = 0;
    const more = async (): Promise<void> => {
      const next = records.slice(sent, sent + 40);
      sent += 40;
      await log.append(next);
    };
    const { problems } = await startIngester(
      log,
      faulty(store, async ({ nth, apply }) => {
        if (nth % 3 === 1) {
          if (applied) await apply();
          // There is more to read then than there was: what was in doubt must come again as it was, not longer.
          await more();
          throw lost();
        }
        await apply();
        await more();
      }),
      0,
    );
    await more();
    await more();
    await expect.poll(() => sent, WITHIN).toBeGreaterThanOrEqual(records.length);
    await caughtUp(log, store);
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['lost']));
  });

  /** The first owner writes half of the records; `crash` is what becomes of its next insert; then it is dead, and another begins. */
  const takenOver = async (records: readonly Outgoing[], topic: Topic, crash: (insert: EventsInsert) => Promise<void>): Promise<Log> => {
    const first = mortal(store);
    let armed = false;
    let crashed = 0;
    const { membership } = await startIngester(
      log,
      faulty(first.store, async (insert) => {
        if (!armed || !insert.token.includes(`/${topic}/`)) return insert.apply();
        armed = false;
        await crash(insert);
        crashed++;
        first.die();
        throw lost();
      }),
    );
    const half = Math.floor(records.length / 2);
    await append(log, records.slice(0, half));
    await caughtUp(log, store);
    armed = true;
    await log.append(records.slice(half));
    await expect.poll(() => crashed, WITHIN).toBe(1);
    const second = openLog('second');
    shared.expelNode('first');
    await membership.leave();
    await startIngester(second, store);
    return second;
  };

  const SHAPES = {
    'in one month': (n: number): number => Date.now() - 3 * DAY_MS + n * 700,
    'in several months': (n: number): number => Date.now() - (n % 4) * 25 * DAY_MS - n * 500,
  } as const;
  const DERIVED = [...ROW_TABLES, ...AGGREGATE_TABLES]
    .map(({ name }) => name)
    .filter((name) => name !== 'dats.artifact_marks' && name !== 'dats.node_samples');
  /** Takes from a table what a batch put there, or a part of it: as if the process had died before that. */
  const harm = async (table: string, { lines }: EventsInsert): Promise<void> => {
    const rows = lines.split('\n').map((line) => JSON.parse(line) as EventRow);
    const { topic, partition, offset } = rows[0] as { topic: string; partition: number; offset: number };
    const within = `DELETE FROM ${table} WHERE topic = {topic:String} AND partition = {partition:UInt16}`;
    const aggregate = AGGREGATE_TABLES.find(({ name }) => name === table);
    if (aggregate === undefined)
      return store.command(`${within} AND offset >= {offset:UInt64} AND offset % 2 = 0`, { topic, partition, offset });
    const buckets = [...new Set(rows.map(aggregate.keyOf))].filter((key) => key !== '');
    return store.command(`${within} AND ${aggregate.bucket} IN {buckets:Array(${aggregate.type})}`, { topic, partition, buckets });
  };
  const HARMS = [
    [EVENTS, LIFECYCLE],
    ['dats.provenance', LIFECYCLE],
    ['dats.project_days', LIFECYCLE],
    ['dats.task_costs', TELEMETRY],
    ['every table', LIFECYCLE],
    ['every table', TELEMETRY],
  ] as const;
  const CASES = Object.entries(SHAPES).flatMap(([shape, timeOf], i) =>
    HARMS.filter(([table]) => i === 0 || table === EVENTS || table === 'every table').map(
      ([table, topic]) => [table, topic, shape, timeOf] as const,
    ),
  );

  test.each(CASES)('between %s and the others, with a batch of %s %s: the next owner makes it right', async (table, topic, _, timeOf) => {
    const { records } = script({ tasks: 30, random, timeOf });
    let harmed = 0;
    const second = await takenOver(records, topic, async (insert) => {
      await insert.apply();
      const before = await tallyOf(store);
      for (const one of table === 'every table' ? [EVENTS, ...DERIVED] : [table]) await harm(one, insert);
      const after = await tallyOf(store);
      harmed = Object.keys(before).filter((name) => before[name] !== after[name]).length;
    });
    await caughtUp(second, store);
    expect(harmed).toBeGreaterThan(0);
  });

  test('with a batch of more tasks than go into a statement at a time', async () => {
    const { records } = script({ tasks: 1_500, random });
    const second = await takenOver(records, TELEMETRY, async (insert) => {
      await insert.apply();
      for (const one of ['dats.model_calls', 'dats.task_costs', 'dats.call_minutes']) await harm(one, insert);
    });
    await caughtUp(second, store);
  });

  test('with a batch that is in twice (its token was forgotten): the next owner takes one away', async () => {
    const { records } = script({ tasks: 60, random });
    const second = await takenOver(records, LIFECYCLE, async ({ apply, lines }) => {
      await apply();
      await store.insert(EVENTS, lines, 'another token');
    });
    await caughtUp(second, store);
  });

  test('and again in the middle of being made right, by any number of owners', async () => {
    const { records } = script({ tasks: 60, random });
    let harmed = false;
    const first = mortal(store);
    await startIngester(
      log,
      faulty(first.store, async (insert) => {
        await insert.apply();
        for (const one of [EVENTS, ...DERIVED]) await harm(one, insert);
        harmed = true;
        first.die();
        throw lost();
      }),
    );
    await log.append(records);
    await expect.poll(() => harmed, WITHIN).toBe(true);
    let owner = 'first';
    let deaths = 0;
    // Each of them gets a little further before it dies.
    for (let commands = 1; commands <= 25; commands += 4) {
      const next = `owner-${commands}`;
      const nextLog = openLog(next);
      shared.expelNode(owner);
      let left = commands;
      let died!: () => void;
      const dead = new Promise<void>((resolve) => {
        died = resolve;
      });
      const life = mortal(store);
      const brief: Analytics = {
        ...life.store,
        command: async (sql, parameters) => {
          await life.store.command(sql, parameters);
          if (!/^(DELETE|INSERT)/.test(sql) || --left > 0) return;
          life.die();
          deaths++;
          died();
          throw lost();
        },
      };
      await startIngester(nextLog, brief);
      await Promise.race([dead, expect.poll(() => lagOf(nextLog), WITHIN).toBe(0)]);
      owner = next;
    }
    const last = openLog('last');
    shared.expelNode(owner);
    await startIngester(last, store);
    await caughtUp(last, store);
    expect(deaths).toBeGreaterThan(5);
  });

  test.each(['after the new owner has made it right', 'while the new owner goes on'])(
    'by another owner, with the insert of the first arriving late, %s',
    async (when) => {
      const late: (() => Promise<void>)[] = [];
      let giveUp!: (fault: Fault) => void;
      const held = new Promise<never>((_, reject) => {
        giveUp = reject;
      });
      held.catch(() => undefined);
      const { records } = script({ tasks: 80, random });
      await startIngester(
        log,
        faulty(store, (insert) => {
          late.push(insert.apply);
          return held;
        }),
      );
      const half = Math.floor(records.length / 2);
      await append(log, records.slice(0, half));
      await expect.poll(() => late.length, WITHIN).toBe(4);
      const second = openLog('second');
      shared.expelNode('first');
      await startIngester(second, store);
      if (when.startsWith('after')) await caughtUp(second, store);
      const arriving = Promise.all(late.map((apply) => apply()));
      await append(second, records.slice(half), 20);
      await arriving;
      giveUp(lost());
      await caughtUp(second, store);
    },
  );

  test('while a history older than what telemetry is kept for is brought: it ends, and what is kept for ever is right', async () => {
    const { records } = script({ tasks: 40, random, timeOf: (n) => Date.now() - 500 * DAY_MS + n * 900_000 });
    const { problems } = await startIngester(
      log,
      faulty(store, async (insert) => {
        await insert.apply();
        if (insert.nth % 2 === 0 && insert.nth < 8) {
          await harm('dats.project_days', insert);
          throw lost();
        }
      }),
    );
    await append(log, records, 150);
    await expect.poll(() => lagOf(log), WITHIN).toBe(0);
    expect(lasting(await tallyOf(store))).toEqual(lasting(await tallyOfLog(log)));
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['lost']));
  });
});
