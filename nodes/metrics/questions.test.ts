import { expect, it } from 'vitest';
import type { GroupLag } from '../../streams/index.js';
import { openMetrics } from './metrics.js';
import type { Sources } from './questions.js';
import { parseExposition } from './testing/exposition.js';

const LIMIT_MS = 30;
const lag = (group: string, behind: number, partition = 0): GroupLag => ({
  topic: 'dats.lifecycle',
  partition,
  committed: 1,
  end: 1 + behind,
  lag: behind,
  owner: group,
});
const well: Sources = {
  log: { lag: async (group) => [lag(group, 3), lag(group, 4, 1)] },
  models: {
    status: async () => [
      {
        id: 'm',
        provider: 'ollama',
        runner: 'ollama',
        scripted: false,
        fallback: false,
        tiers: ['small'],
        domains: [],
        health: { ok: false, latency_ms: 1 },
        running: 2,
        queued: 5,
        breaker: 'half_open',
        features: { load: 7, error_rate: 0.25, loaded: false },
      },
    ],
  },
  health: async () => [
    { name: 'log', ok: true, required: true },
    { name: 'views', ok: false, required: true },
  ],
  groups: [{ group: 'core', topics: ['dats.lifecycle'] }],
  history: async () => 9,
};

const open = async () => {
  const metrics = await openMetrics({ version: '1', node: 'n', roles: 'all', limitMs: LIMIT_MS });
  const value = async (name: string, labels: Record<string, string> = {}): Promise<number | undefined> => {
    const all = [...parseExposition((await metrics.scrape()).body).values()].flatMap(({ samples }) => samples);
    return all.find((one) => one.name === name && Object.entries(labels).every(([label, text]) => one.labels[label] === text))?.value;
  };
  return { metrics, value };
};
const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

it('lag, dependencies and models are told as they are when they are asked', async () => {
  const { metrics, value } = await open();
  metrics.ask(well);
  expect(await value('dats_consumer_lag_records', { group: 'core', topic: 'dats.lifecycle' })).toBe(7);
  expect(await value('dats_analytics_ingest_lag_records')).toBe(9);
  expect([await value('dats_dependency_up', { name: 'log' }), await value('dats_dependency_up', { name: 'views' })]).toEqual([1, 0]);
  const ofModel = ['up', 'queued_calls', 'error_ratio', 'loaded', 'breaker_open'].map((name) =>
    value(`dats_model_${name}`, { model: 'm' }),
  );
  expect(await Promise.all(ofModel)).toEqual([0, 5, 0.25, 0, 1]);
});

it('without history there is no lag of it', async () => {
  const { metrics, value } = await open();
  metrics.ask({ ...well, history: undefined });
  expect([await value('dats_analytics_ingest_lag_records'), await value('dats_consumer_lag_records', { group: 'history' })]).toEqual([
    undefined,
    undefined,
  ]);
});

it('a scrape whose questions hang is answered without them, and says so; old figures are not shown for new ones', async () => {
  const { metrics, value } = await open();
  let hangs = false;
  metrics.ask({
    ...well,
    log: { lag: (group) => (hangs ? never() : well.log.lag(group, [])) },
    health: () => (hangs ? never() : well.health()),
  });
  expect(await value('dats_consumer_lag_records', { group: 'core' })).toBe(7);
  hangs = true;
  expect(await value('dats_consumer_lag_records', { group: 'core' })).toBeUndefined();
  expect(await value('dats_dependency_up', { name: 'log' })).toBeUndefined();
  expect(await value('dats_scrape_unanswered_total', { part: 'health' })).toBe(3);
  expect(await value('dats_model_up', { model: 'm' })).toBe(0);
});

it('a question that fails is unanswered', async () => {
  const { metrics, value } = await open();
  metrics.ask({ ...well, log: { lag: () => Promise.reject(new Error('away')) } });
  expect(await value('dats_consumer_lag_records')).toBeUndefined();
  expect(await value('dats_scrape_unanswered_total', { part: 'lag core' })).toBe(2);
});

it('a question that still hangs is not asked again beside it, and scrapes that meet share one answer', async () => {
  const { metrics } = await open();
  let asked = 0;
  metrics.ask({
    ...well,
    models: {
      status: () => {
        asked += 1;
        return never();
      },
    },
  });
  const [first, second] = await Promise.all([metrics.scrape(), metrics.scrape()]);
  expect(first).toBe(second);
  await metrics.scrape();
  expect(asked).toBe(1);
});

it('lines of edge nodes are told as they are, and what nobody knows is missing', async () => {
  const { metrics, value } = await open();
  const edges = async () => [
    { node: 'edge-1', connected: true, open: false, backlog: 7, seenAgeS: 1.5, sent: { bytes: 100, batches: 2 } },
    { node: 'edge-2', connected: false },
  ];
  metrics.ask({ ...well, edges });
  const of = (name: string, node = 'edge-1') => value(`dats_edge_${name}`, { node });
  expect([await of('connected'), await of('open'), await of('backlog_records'), await of('seen_age_seconds')]).toEqual([1, 0, 7, 1.5]);
  expect([await of('sent_bytes_total'), await of('sent_batches_total')]).toEqual([100, 2]);
  expect([await of('connected', 'edge-2'), await of('backlog_records', 'edge-2'), await of('open', 'edge-2')]).toEqual([
    0,
    undefined,
    undefined,
  ]);
});
