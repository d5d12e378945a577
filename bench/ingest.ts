// P7, ingestion into ClickHouse, embedded: how many events a second of a log that is behind come in, and how far behind a log is that grows by 1,000 a second.
//
// I1. What came in is counted in every table: a fast wrong ingestion is an error, not a figure. I2. The limit beside it is the same rows as JSON, in batches of as many,
// inserted into the same tables by the same client, without a log, an order, a note of progress or a row made of an event.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Analytics } from '../streams/index.js';
import { openLmdbLog } from '../streams/lmdb/index.js';
import { countOf, enginePidOf, openStore } from './analytics-store.js';
import type { Figure } from './figure.js';
import { type HistoryGenerator, openHistory, type Tally } from './history-generator.js';
import { limitsOf } from './ingest-limits.js';
import { type IngestProcess, startIngestion } from './ingest-process.js';
import { watchOthers } from './machine.js';
import { cpuMsOf, memoryOf } from './pipeline-process.js';
import { freshDir, removeDir } from './places.js';
import { median, percentile } from './statistics.js';

const SEED = 20_261_126;
const PARTITIONS = 4;
const PROJECTS = 200;
const OPEN_TASKS = 500;
const DAY_MS = 86_400_000;
/** Model calls leave their table after 90 days, node samples after 30: none may be gone before it is counted. */
const DAYS = 89;
const SAMPLED_DAYS = 29;
const APPEND_BATCH = 2_000;
/** As servers.yaml has it when it says nothing. */
const FLUSH_MS = 500;
const LIVE_PER_S = 1_000;
const TICK_MS = 10;
/** The questions share the engine with the inserts: not more of them than the figure needs. */
const POLL_MS = 25;
const VISIBLE_MS = 60_000;

interface Filled {
  readonly dir: string;
  readonly history: HistoryGenerator;
  readonly records: number;
}

const openBenchLog = (dir: string) => openLmdbLog({ dir: join(dir, 'log'), node: 'bench', partitions: PARTITIONS });

const fill = async (dir: string, records: number): Promise<Filled> => {
  const until = Date.now();
  const from = until - DAYS * DAY_MS;
  const step = (until - from) / records;
  const history = openHistory({
    seed: SEED,
    executions: Number.POSITIVE_INFINITY,
    projects: PROJECTS,
    partitions: PARTITIONS,
    open: OPEN_TASKS,
    samplesFrom: until - SAMPLED_DAYS * DAY_MS,
  });
  const log = await openBenchLog(dir);
  try {
    for (let at = 0; at < records; at += APPEND_BATCH)
      await log.append(history.next(Math.min(APPEND_BATCH, records - at), from + at * step, step));
  } finally {
    await log.close();
  }
  return { dir, history, records };
};

/** I1. What each table must hold, by a question that counts it. */
const countsOf = (tally: Tally): readonly (readonly [string, number])[] => [
  ['SELECT count() AS n FROM dats.events', tally.lifecycle + tally.telemetry],
  ['SELECT uniqExact(topic, partition, offset) AS n FROM dats.events', tally.lifecycle + tally.telemetry],
  ['SELECT count() AS n FROM dats.provenance', tally.executions],
  ["SELECT countIf(status = 'accepted') AS n FROM dats.provenance", tally.statuses.accepted ?? 0],
  ['SELECT count() AS n FROM dats.artifacts', tally.artifacts],
  ['SELECT count() AS n FROM dats.artifact_edges', tally.edges],
  ['SELECT count() AS n FROM dats.artifact_edges_up', tally.edges],
  ['SELECT count() AS n FROM dats.model_calls', tally.calls],
  ['SELECT count() AS n FROM dats.node_samples', tally.samples],
  ['SELECT sum(calls) AS n FROM dats.call_minutes', tally.calls],
  ['SELECT sum(executions) AS n FROM dats.execution_minutes', tally.executions],
  ['SELECT sum(calls) AS n FROM dats.task_costs', tally.calls],
  ['SELECT sum(events) AS n FROM dats.project_days', tally.lifecycle + tally.telemetry],
  ['SELECT sum(events) AS n FROM dats.agent_days', tally.lifecycle + tally.telemetry],
];

/** @throws Error when a table has not exactly what the records make. */
const checkCounts = async (store: Analytics, tally: Tally): Promise<void> => {
  for (const [sql, wanted] of countsOf(tally)) {
    const has = await countOf(store, sql);
    if (has !== wanted) throw new Error(`SELECT toUInt64(${sql} is ${has}, and must be ${wanted}`);
  }
};

const perSecond = (rows: number, ms: number): number => (rows / ms) * 1_000;

interface Brought {
  readonly rate: number;
  readonly note: string;
}

const engineOf = (dir: string): number => {
  const pid = enginePidOf(dir);
  if (pid === undefined) throw new Error('no engine runs');
  return pid;
};

/** Milliseconds so far. */
const cpuOf = (ingestion: IngestProcess, dir: string) => ({ node: cpuMsOf(ingestion.pid), engine: cpuMsOf(engineOf(dir)) });

/** All of the log, by a process that has to catch up. */
const catchUp = async (ingestion: IngestProcess, { dir, records }: Filled): Promise<Brought> => {
  const others = watchOthers();
  const before = cpuOf(ingestion, dir);
  const begin = performance.now();
  ingestion.go();
  await ingestion.until(records);
  const ms = performance.now() - begin;
  const after = cpuOf(ingestion, dir);
  const [node, engine] = [after.node - before.node, after.engine - before.engine];
  const rows = ingestion.inserts.map((insert) => insert.rows);
  const mb = (pid: number): string => `${memoryOf(pid).anonymousMb.toFixed(0)} (${memoryOf(pid).residentMb.toFixed(0)})`;
  return {
    rate: perSecond(records, ms),
    note:
      `${DAYS} days, ${PROJECTS} projects, ${PARTITIONS} partitions; counts exact in all tables; CPU s a 1,000 events: node ${(node / records).toFixed(4)}, engine ` +
      `${(engine / records).toFixed(4)}; own (resident) MB: node ${mb(ingestion.pid)}, engine ${mb(engineOf(dir))}; ${rows.length} inserts of ${median(rows)} rows (median), ` +
      `${median(ingestion.inserts.map((insert) => insert.ms)).toFixed(0)} ms each; others used ${others(node + engine).toFixed(2)} cores`,
  };
};

/** Records of each partition that have arrived: in the events and in what two views make of all of them, as an insert fills one table after another. */
const SEEN = `
SELECT place, min(n) AS there FROM (
  SELECT concat(topic, '/', toString(partition)) AS place, max(offset) + 1 AS n FROM dats.events
  WHERE time >= fromUnixTimestamp64Milli({begin:Int64}, 'UTC') GROUP BY place
  UNION ALL SELECT concat(topic, '/', toString(partition)) AS place, sum(events) AS n FROM dats.project_days GROUP BY place
  UNION ALL SELECT concat(topic, '/', toString(partition)) AS place, sum(events) AS n FROM dats.agent_days GROUP BY place
) GROUP BY place HAVING count() = 3`;

interface Lag {
  readonly lags: readonly number[];
  readonly late: number;
}

/** Events appended as they come, and when each is seen by a question that another process asks. */
const follow = async (store: Analytics, { dir, history }: Filled, seconds: number): Promise<Lag> => {
  const log = await openBenchLog(dir);
  const waiting = new Map<string, { offset: number; at: number }[]>();
  const lags: number[] = [];
  const begin = performance.now();
  const beginMs = Date.now();
  const total = seconds * LIVE_PER_S;
  let appended = 0;
  let late = 0;
  const write = async (): Promise<void> => {
    while (appended < total) {
      const due = Math.min(total, Math.floor(((performance.now() - begin) * LIVE_PER_S) / 1_000));
      if (due > appended) {
        const at = performance.now();
        late = Math.max(late, at - begin - (appended * 1_000) / LIVE_PER_S);
        const places = await log.append(history.next(due - appended, beginMs + (appended * 1_000) / LIVE_PER_S, 1_000 / LIVE_PER_S));
        appended = due;
        for (const { topic, partition, offset } of places) {
          const key = `${topic}/${partition}`;
          const queue = waiting.get(key) ?? [];
          queue.push({ offset, at });
          waiting.set(key, queue);
        }
      }
      await sleep(TICK_MS);
    }
  };
  const look = async (): Promise<void> => {
    while (lags.length < total) {
      if (performance.now() - begin > seconds * 1_000 + VISIBLE_MS)
        throw new Error(`only ${lags.length} of ${total} events became visible`);
      const rows = await store.query<{ place: string; there: number }>(SEEN, { begin: beginMs });
      const seen = performance.now();
      for (const { place, there } of rows) {
        const queue = waiting.get(place) ?? [];
        while (queue.length > 0 && queue[0]!.offset < there) lags.push(seen - queue.shift()!.at);
      }
      await sleep(POLL_MS);
    }
  };
  try {
    await Promise.all([write(), look()]);
  } finally {
    await log.close();
  }
  return { lags, late };
};

/** `records` the log is to hold when the ingestion begins; `seconds` of live records after that. */
export const benchIngest = async (records: number, seconds: number): Promise<readonly Figure[]> => {
  const dir = await freshDir('ingest');
  try {
    const filled = await fill(dir, records);
    const ingestion = await startIngestion({ dir, partitions: PARTITIONS, group: 'history', flushMs: FLUSH_MS });
    const store = openStore(dir);
    let brought: Brought;
    let lag: Lag;
    let live: string;
    try {
      brought = await catchUp(ingestion, filled);
      await checkCounts(store, filled.history.tally);
      const before = cpuOf(ingestion, dir);
      const began = ingestion.inserts.length;
      lag = await follow(store, filled, seconds);
      await ingestion.until(records + seconds * LIVE_PER_S);
      const after = cpuOf(ingestion, dir);
      live = `${((after.node - before.node) / seconds / 1_000).toFixed(2)} cores node, ${((after.engine - before.engine) / seconds / 1_000).toFixed(2)} engine (with the questions), ${((ingestion.inserts.length - began) / seconds).toFixed(1)} inserts a second`;
      await checkCounts(store, filled.history.tally);
    } finally {
      await store.close();
      await ingestion.stop();
    }
    // The live ones lie in the log as well.
    const beside = await limitsOf({ dir, partitions: PARTITIONS, flushMs: FLUSH_MS, records: records + seconds * LIVE_PER_S });
    const at = (p: number): string => percentile(lag.lags, p).toFixed(0);
    return [
      {
        id: 'P7',
        what: `ingest ${records} events into embedded ClickHouse, from the log to all tables`,
        value: brought.rate,
        unit: 'events/s',
        target: { at: 'least', bound: 40_000 },
        beside,
        note: brought.note,
      },
      {
        id: 'P7',
        what: `lag p95 at ${LIVE_PER_S} events/s for ${seconds} s, append to seen by a query in all tables`,
        value: percentile(lag.lags, 0.95) / 1_000,
        unit: 's',
        target: { at: 'most', bound: 1 },
        note: `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; from before the append (fsync) to the answer of a query in another process, asked every ${POLL_MS} ms; events wait up to ${FLUSH_MS} ms to share an insert; ${records} events there before; ${live}; the writer was late by ${lag.late.toFixed(0)} ms at most`,
      },
    ];
  } finally {
    await removeDir(dir);
  }
};
