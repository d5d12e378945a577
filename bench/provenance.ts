// P8, executions by project, status and time range, as `GET /api/v1/provenance` asks for them (gateway/analytics), over 100,000 to 10 million of them.
//
// V1. The rows went into `dats.events`, and the materialized views made everything else. V2. Every answer is compared with what was asked, and some with a count.
// V3. A store is kept between runs, under the seed, the shape of its rows and the digest of the tables; one of another kind is removed.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lineageOf, listExecutions, provenanceOf, statsOf, statsQuestionOf } from '../gateway/analytics/index.js';
import { packageRoot } from '../nodes/index.js';
import type { ProvenanceQuery } from '../schemas/index.js';
import type { Analytics } from '../streams/index.js';
import { ASK_LIMITS, countOf, openStore } from './analytics-store.js';
import type { Figure } from './figure.js';
import { projectAt } from './history-generator.js';
import { PROVENANCE_ROWS, type ProvenanceStore, provenanceStore } from './provenance-store.js';
import { openRandom, type Random } from './random.js';
import { median, percentile } from './statistics.js';

const SEED = 8;
const WARM_UP = 20;
const QUERIES = 200;
/** Of each question that is told for information. */
const LOOKUPS = 60;
const LIMIT = 100;
const DAY_MS = 86_400_000;
const LONGEST_DAYS = 30;
const STATUSES = ['accepted', 'rejected', 'failed', 'timed_out', 'cancelled'] as const;
const DEPTH = 5;
/** Judged with so many executions: the target, and an older bar, a second. */
const TARGET_EXECUTIONS = 10_000_000;
const TARGET_MS = 50;
const BAR_EXECUTIONS = 100_000;
const BAR_MS = 1_000;

type Question = ProvenanceQuery & { readonly project_id: string; readonly status: string; readonly since: string; readonly until: string };

const questionOf = (random: Random): Question => {
  const { days, until, projects } = PROVENANCE_ROWS;
  const lengthMs = (1 / 24 + random.next() * LONGEST_DAYS) * DAY_MS;
  const since = until - days * DAY_MS + random.next() * (days * DAY_MS - lengthMs);
  return {
    project_id: `project-${projectAt(projects, random.next())}`,
    status: random.pick(STATUSES),
    since: new Date(since).toISOString(),
    until: new Date(since + lengthMs).toISOString(),
    limit: LIMIT,
  };
};

/** V2. @throws Error */
const check = (question: Question, executions: Awaited<ReturnType<typeof listExecutions>>['executions']): void => {
  const { project_id, status, since, until } = question;
  const fits = executions.every(
    (one) => one.project_id === project_id && one.status === status && one.finished_at >= since && one.finished_at < until,
  );
  const newestFirst = executions.every((one, i) => i === 0 || one.finished_at <= executions[i - 1]!.finished_at);
  if (!fits || !newestFirst || executions.length > LIMIT) throw new Error(`a wrong answer to ${JSON.stringify(question)}`);
};

const checkCount = async (store: Analytics, { project_id, status, since, until }: Question, shown: number): Promise<void> => {
  const text = (time: string): string => time.replace('T', ' ').replace('Z', '');
  const there = await countOf(
    store,
    `SELECT count() AS n FROM dats.provenance WHERE project_id = '${project_id}' AND status = '${status}' AND time >= '${text(since)}' AND time < '${text(until)}'`,
  );
  if (shown !== Math.min(LIMIT, there)) throw new Error(`${shown} of ${there} executions for ${project_id}, ${status}`);
};

const timed = async <T>(act: () => Promise<T>): Promise<{ readonly ms: number; readonly value: T }> => {
  const begin = performance.now();
  const value = await act();
  return { ms: performance.now() - begin, value };
};

const list = async (store: Analytics): Promise<{ readonly times: readonly number[]; readonly rows: number }> => {
  const random = openRandom(SEED);
  const times: number[] = [];
  let rows = 0;
  for (let i = 0; i < WARM_UP + QUERIES; i++) {
    const question = questionOf(random);
    const { ms, value } = await timed(() => listExecutions(store, question));
    check(question, value.executions);
    if (i < WARM_UP) await checkCount(store, question, value.executions.length);
    else {
      times.push(ms);
      rows += value.executions.length;
    }
  }
  if (rows === 0) throw new Error('no question had an answer');
  return { times, rows };
};

/** Nothing here may need the views or the log: what is asked for is in history. */
const NOWHERE = new Proxy({} as Parameters<typeof provenanceOf>[1], {
  get: () => {
    throw new Error('history does not have what it was filled with');
  },
});

const timesOf = async <T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<readonly number[]> => {
  const times: number[] = [];
  for (const [i, item] of items.entries()) {
    const { ms } = await timed(() => act(item));
    if (i >= items.length - LOOKUPS) times.push(ms);
  }
  return times;
};

/** Other questions of the same store, in milliseconds. */
const besides = async (store: Analytics): Promise<string> => {
  const ids = async (column: string, table: string): Promise<readonly string[]> => {
    const rows = await store.query<{ id: string }>(
      `SELECT ${column} AS id FROM ${table} ORDER BY cityHash64(${column}, ${SEED}) LIMIT ${LOOKUPS + WARM_UP}`,
    );
    return rows.map(({ id }) => id);
  };
  const executions = await ids('provenance_id', 'dats.provenance');
  const artifacts = await ids('artifact_id', 'dats.artifacts');
  const prompts = statsQuestionOf('prompts', await readFile(join(packageRoot(), 'deploy/clickhouse/stats/prompts.sql'), 'utf8'));
  const told: readonly (readonly [string, readonly number[]])[] = [
    ['whole record by execution id', await timesOf(executions, (id) => provenanceOf(store, NOWHERE, id))],
    ['by artifact id', await timesOf(artifacts, (id) => provenanceOf(store, NOWHERE, id))],
    [`lineage ${DEPTH} up`, await timesOf(artifacts, (id) => lineageOf(store, NOWHERE, id, { direction: 'up', depth: DEPTH }))],
    [
      'stats prompts, all projects and times',
      await timesOf(Array.from({ length: 5 }), () => statsOf(store, [prompts], 'prompts', { limit: LIMIT }, ASK_LIMITS)),
    ],
  ];
  return told.map(([what, times]) => `${what} ${median(times).toFixed(0)} (${percentile(times, 0.95).toFixed(0)})`).join(', ');
};

const figureOf = async ({ dir, executions, filled }: ProvenanceStore): Promise<Figure> => {
  const store = openStore(dir);
  try {
    const { times, rows } = await list(store);
    const p95 = percentile(times, 0.95);
    const what = `executions by project, status and time, limit ${LIMIT}, ${executions.toLocaleString('en-US')} records`;
    const note = `p50 ${median(times).toFixed(1)} ms, longest ${Math.max(...times).toFixed(0)} ms of ${QUERIES}, ${(rows / QUERIES).toFixed(0)} rows each; `;
    const others = `for information, ms p50 (p95): ${await besides(store)}; `;
    const bound = executions === TARGET_EXECUTIONS ? TARGET_MS : executions === BAR_EXECUTIONS ? BAR_MS : undefined;
    return {
      id: 'P8',
      what: `${what}, p95`,
      value: p95,
      unit: 'ms',
      ...(bound === undefined ? {} : { target: { at: 'most', bound } as const }),
      note: note + others + filled,
    };
  } finally {
    await store.close();
  }
};

/** `sizes`: executions of each store. */
export const benchProvenance = async (sizes: readonly number[]): Promise<readonly Figure[]> => {
  const figures: Figure[] = [];
  for (const executions of sizes) figures.push(await figureOf(await provenanceStore(executions)));
  return figures;
};
