// History in ClickHouse under SIGKILL: of the node, and of its engine. Afterwards every table says what the log says.
//
// DATS_SEED repeats the choices of a run; DATS_CRASH_KILLS sets the kills.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isTerminal, LIFECYCLE, TELEMETRY } from '../schemas/index.js';
import { openClickhouse } from '../streams/clickhouse/index.js';
import type { Analytics, Log } from '../streams/index.js';
import { openLmdbStorage } from '../streams/lmdb/index.js';
import { apiOf } from './support/api.js';
import { eventually } from './support/eventually.js';
import { startFleet } from './support/fleet.js';
import { follow } from './support/follower.js';
import type { LoggedEvent } from './support/invariants.js';
import { LOAD_SCRIPT, startLoad } from './support/load.js';
import { freePort, type TestFolder, testFolder, tidy } from './support/node-process.js';
import { seededRandom, testSeed } from './support/random.js';
import { readWholeLog } from './support/whole-log.js';

const KILLS = Number(process.env['DATS_CRASH_KILLS'] ?? 10);
const PARTITIONS = 2;
const PROJECTS = ['alpha', 'beta', 'gamma'];
const LIFE_MS = [50, 1_200] as const;
const TOPICS = [LIFECYCLE, TELEMETRY] as const;
const EMBEDDED = { DATS_ANALYTICS_KIND: 'embedded' };
const QUERY_LIMITS = { timeoutMs: 10_000, rows: 100_000, memoryBytes: 1024 ** 3 };

const servers = (port: number, more: object = {}) => ({
  version: 1,
  node: { id: 'history', data_dir: './data' },
  gateway: { port },
  log: { partitions: PARTITIONS },
  analytics: { kind: 'embedded', flush_ms: 50 },
  models: [
    {
      id: 'recorded',
      runner: 'scripted',
      script: './script.json',
      tiers: ['small', 'medium', 'large'],
      concurrency: 64,
      price_input_per_mtok: 0.15,
      price_output_per_mtok: 0.6,
    },
  ],
  scheduling: { max_running_per_project: 10, backoff_base_ms: 20, backoff_max_ms: 100 },
  slots: { qa: 4 },
  ...more,
});

interface Engine {
  readonly pid: number;
  readonly parent: number;
}

/** Engines of a folder's node; for an instant there may be one more, which finds the folder taken. */
const enginesOf = ({ dir }: TestFolder): Engine[] =>
  execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    .split('\n')
    .filter((line) => line.includes('engine/main.js') && line.includes(dir))
    .map((line) => line.trim().split(/\s+/, 2).map(Number))
    .map(([pid, parent]) => ({ pid: pid!, parent: parent! }));

const killEngine = (folder: TestFolder): boolean => {
  const [engine] = enginesOf(folder);
  if (engine === undefined) return false;
  try {
    process.kill(engine.pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
};

/** The log of a running node, seen by another process. */
const withLog = async <T>({ dir }: TestFolder, use: (log: Log) => Promise<T>): Promise<T> => {
  const { log, close } = await openLmdbStorage({ dir: join(dir, 'data', 'log'), node: 'test', partitions: PARTITIONS });
  try {
    return await use(log);
  } finally {
    await close();
  }
};
const lagOf = async (log: Log): Promise<number> => (await log.lag('history', TOPICS)).reduce((sum, { lag }) => sum + lag, 0);

const tallied = (items: readonly string[]): Record<string, number> => {
  const tally: Record<string, number> = {};
  for (const item of items) tally[item] = (tally[item] ?? 0) + 1;
  return tally;
};

/** `task/attempt: status` of every execution that has ended: what the log says, told once more. */
const executionsIn = (events: readonly LoggedEvent[]): string[] => {
  const ENDS: Readonly<Record<string, string>> = {
    'dats.task.validated': 'accepted',
    'dats.task.rejected': 'rejected',
    'dats.task.attempt.failed': 'failed',
    'dats.task.timedout': 'timed_out',
  };
  const open = new Map<string, number>();
  const ended: string[] = [];
  for (const { event } of events.filter(({ topic }) => topic === LIFECYCLE)) {
    const { subject: task, type, data } = event;
    if (type === 'dats.task.ready') open.set(task, event.data.attempt);
    const attempt = open.get(task);
    if (attempt === undefined) continue;
    const whole = type === 'dats.task.failed' ? 'failed' : type === 'dats.task.cancelled' ? 'cancelled' : undefined;
    const status = whole ?? ('attempt' in data && data.attempt === attempt ? ENDS[type] : undefined);
    if (status === undefined) continue;
    open.delete(task);
    ended.push(`${task}/${attempt}: ${status}`);
  }
  return ended;
};

/** Every table that counts, against the log. */
const expectHistory = async (store: Analytics, whole: readonly LoggedEvent[]): Promise<void> => {
  const events = whole.filter(({ topic }) => topic === LIFECYCLE || topic === TELEMETRY);
  const types = await store.query<{ type: string; n: number }>('SELECT type, count() AS n FROM dats.events GROUP BY type');
  expect(Object.fromEntries(types.map(({ type, n }) => [type, n]))).toEqual(tallied(events.map(({ event }) => event.type)));
  const positions = await store.query<{ place: string }>(
    "SELECT concat(topic, ' ', toString(partition), ' ', toString(offset), ' ', id) AS place FROM dats.events ORDER BY topic, partition, offset",
  );
  expect(positions.map(({ place }) => place)).toEqual(
    events.map(({ topic, partition, offset, event }) => `${topic} ${partition} ${offset} ${event.id}`),
  );
  const provenance = await store.query<{ execution: string }>(
    "SELECT concat(task_id, '/', toString(attempt), ': ', status) AS execution FROM dats.provenance",
  );
  expect(provenance.map(({ execution }) => execution).sort()).toEqual(executionsIn(events).sort());
  const outputs = events.flatMap(({ event }) => (event.type === 'dats.task.output.created' ? [event.data] : []));
  const calls = events.flatMap(({ event }) => (event.type === 'dats.model.called' ? [event.data] : []));
  const [counts] = await store.query(
    `SELECT (SELECT count() FROM dats.artifacts) AS artifacts, (SELECT count() FROM dats.artifact_edges) AS edges, (SELECT count() FROM dats.artifact_edges_up) AS up,
      (SELECT count() FROM dats.model_calls) AS calls, (SELECT sum(calls) FROM dats.call_minutes) AS call_minutes, (SELECT sum(executions) FROM dats.execution_minutes) AS executions,
      (SELECT sum(calls) FROM dats.task_costs) AS task_costs, (SELECT sum(events) FROM dats.project_days) AS project_days, (SELECT sum(events) FROM dats.agent_days) AS agent_days,
      (SELECT toString(sum(cost_usd)) FROM dats.call_minutes) AS cost`,
  );
  const edges = outputs.reduce((sum, { artifacts, consumed }) => sum + artifacts.length * consumed.length, 0);
  const nanos = calls.reduce((sum, { cost_usd = 0 }) => sum + BigInt(cost_usd.toFixed(9).replace('.', '')), 0n);
  const digits = String(nanos).padStart(10, '0');
  expect(counts).toEqual({
    artifacts: outputs.reduce((sum, { artifacts }) => sum + artifacts.length, 0),
    edges,
    up: edges,
    calls: calls.length,
    call_minutes: calls.length,
    executions: provenance.length,
    task_costs: calls.filter(({ task_id }) => task_id !== undefined).length,
    project_days: events.length,
    agent_days: events.length,
    cost: `${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, ''),
  });
};

describe('history', () => {
  afterEach(tidy);

  it(`of a node under load says what the log says after ${KILLS} SIGKILLs of the node and of its engine`, async () => {
    const random = seededRandom(testSeed('history'));
    const port = await freePort();
    const folder = testFolder(servers(port, { telemetry: { sample_s: 0 } }), { 'script.json': LOAD_SCRIPT });
    const api = apiOf(`http://127.0.0.1:${port}`);
    const fleet = startFleet(folder.config, ['all'], EMBEDDED);
    const load = startLoad(api, random, PROJECTS, 3);
    const ended = new Set<string>();
    const followers = PROJECTS.map((project) =>
      follow(api, project, ({ type, event }) => {
        if (!isTerminal(type)) return;
        ended.add(event.subject);
        load.ended(event.subject);
      }),
    );
    const enough = new AbortController();
    const running = load.run(enough.signal);
    running.catch(() => undefined);
    await eventually('the first acknowledged task', 30_000, () => load.acknowledged.length > 0);
    const killed = { node: 0, engine: 0 };
    while (killed.node + killed.engine < KILLS) {
      // The instant is drawn, not awaited: that it falls anywhere is the point.
      await new Promise((resolve) => setTimeout(resolve, random.int(...LIFE_MS)));
      if (killed.node * 2 < killed.engine) {
        await fleet.crash(0);
        killed.node++;
      } else if (killEngine(folder)) killed.engine++;
    }
    enough.abort();
    await running;
    await eventually('the end of every acknowledged task', 30_000, () => load.acknowledged.every(({ task_id }) => ended.has(task_id)));
    for (const follower of followers) follower.stop();
    await Promise.all(followers.map(({ done }) => done));
    await withLog(folder, (log) => eventually('a history that has all of it', 30_000, async () => (await lagOf(log)) === 0));
    expect(fleet.deaths).toEqual([]);
    expect(await fleet.stop()).toEqual([0]);
    const { events, deadLetters } = await readWholeLog(join(folder.dir, 'data'), PARTITIONS);
    expect(deadLetters).toBe(0);
    const store = openClickhouse({
      embedded: {
        dir: join(folder.dir, 'data', 'clickhouse'),
        limits: QUERY_LIMITS,
        engine: new URL('../dist/streams/clickhouse/engine/main.js', import.meta.url).pathname,
      },
    });
    try {
      await expectHistory(store, events);
    } finally {
      await store.close();
    }
    console.info(`history: killed ${JSON.stringify(killed)}, ${load.acknowledged.length} tasks, ${events.length} events`);
  });

  it('of two processes on one data directory is in one engine; whoever is left goes on when its owner is killed', async () => {
    const port = await freePort();
    const folder = testFolder(servers(port, { telemetry: { sample_s: 1 } }), { 'script.json': LOAD_SCRIPT });
    const api = apiOf(`http://127.0.0.1:${port}`);
    const fleet = startFleet(folder.config, ['deciders,workers', { roles: 'gateway', away: true }], EMBEDDED);
    const [DECIDERS, GATEWAY] = [0, 1];
    const owner = (): number | undefined => enginesOf(folder)[0]?.parent;
    const asked = async (): Promise<number | undefined> => {
      const { status, body } = await api.ask<{ rows: readonly (readonly number[])[] }>('POST', '/api/v1/query', {
        sql: 'SELECT count() FROM dats.events',
      });
      return status === 200 ? body.rows[0]![0] : undefined;
    };
    const submit = (): Promise<string> =>
      api.submitted({ project_id: PROJECTS[0], description: '[script:instant] x', options: { qa_profile: 'syntax' } });
    const rises = (above: number): Promise<number> =>
      eventually('more history', 15_000, async () => {
        const n = await asked();
        return n !== undefined && n > above && n;
      });

    await eventually('an engine of the deciders', 20_000, () => owner() === fleet.pid(DECIDERS));
    fleet.enter(GATEWAY);
    await eventually('a task', 20_000, submit);
    const first = await rises(0);
    expect(enginesOf(folder)).toHaveLength(1);
    expect(owner()).toBe(fleet.pid(DECIDERS));

    await fleet.leave(DECIDERS, 'SIGKILL');
    const began = performance.now();
    expect(await eventually('an answer without the owner', 10_000, asked)).toBeGreaterThanOrEqual(first);
    const awayMs = Math.round(performance.now() - began);
    expect(owner()).toBe(fleet.pid(GATEWAY));

    fleet.enter(DECIDERS);
    await submit();
    await rises(first);
    expect(owner()).toBe(fleet.pid(GATEWAY));

    await fleet.leave(GATEWAY, 'SIGKILL');
    await withLog(folder, async (log) => {
      const ends = async (): Promise<number> =>
        (await Promise.all(Array.from({ length: PARTITIONS }, (_, i) => log.range(TELEMETRY, i)))).reduce((sum, { end }) => sum + end, 0);
      const before = await ends();
      await eventually('samples of the one that is left', 20_000, async () => (await ends()) > before + 1 && (await lagOf(log)) === 0);
    });
    expect(owner()).toBe(fleet.pid(DECIDERS));
    expect(fleet.deaths).toEqual([]);
    console.info(`history: ${awayMs} ms without an engine`);
    expect(await fleet.stop()).toEqual([0]);
  });
});
