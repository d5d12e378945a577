import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../cli/client/index.js';
import { askedBy } from '../deploy/prometheus/testing/promql.js';
import { promQueries } from '../deploy/prometheus/testing/queries.js';
import { configurationOf, parseRoles, type RunningNode, startNode } from '../nodes/index.js';
import { CATALOGUE } from '../nodes/metrics/index.js';
import { type ParsedMetric, parseExposition } from '../nodes/metrics/testing/exposition.js';
import { eventually } from './support/eventually.js';

const SCRIPT = {
  version: 1,
  rules: [
    {
      match: { task: 'Write settings' },
      answers: [
        { files: [{ path: 'settings.json', language: 'json', content: '{"a": 1,}' }] },
        { files: [{ path: 'settings.json', language: 'json', content: '{"a": 1}' }] },
      ],
    },
    { match: { task: 'Write nothing' }, answers: [{ fail: 'refuse' }] },
  ],
};
const PROJECT = 'secret-project';

let dir: string;
let node: RunningNode;
let metrics: ReadonlyMap<string, ParsedMetric>;
let text: string;
const ids: string[] = [];

const scrape = async (url: string): Promise<Response> => fetch(url, { signal: AbortSignal.timeout(5_000) });
const configuration = (name: string, extra: object = {}) =>
  configurationOf(
    {
      version: 1,
      node: { data_dir: join(dir, name) },
      gateway: { port: 0 },
      log: { kind: 'memory' },
      models: [
        {
          id: 'recorded',
          runner: 'scripted',
          script: join(dir, 'script.json'),
          tiers: ['small', 'medium', 'large'],
          price_input_per_mtok: 1,
          price_output_per_mtok: 2,
        },
      ],
      scheduling: { backoff_base_ms: 0 },
      ...extra,
    },
    dir,
  );

const value = (name: string, labels: Record<string, string> = {}): number | undefined => {
  const samples = [...metrics.values()].flatMap((metric) => metric.samples);
  const fits = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  return fits.length === 0 ? undefined : fits.reduce((sum, { value }) => sum + value, 0);
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-metrics-'));
  writeFileSync(join(dir, 'script.json'), JSON.stringify(SCRIPT));
  const { config, version, baseDir } = configuration('data');
  node = await startNode({ config, configVersion: version, baseDir, env: {} });
  const client = createClient({ baseUrl: node.url! });
  for (let i = 0; i < 3; i++) {
    const { task_id } = await client.submit({
      description: 'Write settings\nas JSON',
      project_id: PROJECT,
      options: { qa_profile: 'syntax' },
    });
    ids.push(task_id);
    await client.wait(task_id);
  }
  const { task_id } = await client.submit({ description: 'Write nothing', project_id: PROJECT, options: { max_attempts: 1 } });
  ids.push(task_id);
  await client.wait(task_id);
  // Records that no event decodes: one for the deciders, one for the workers.
  const poison = { key: PROJECT, headers: { type: 'dats.task.exploded', dataschema: 'urn:dats:task.exploded:1' }, value: '{}' };
  await node.log.append([
    { ...poison, topic: 'dats.lifecycle' },
    { ...poison, topic: 'dats.work.qa' },
  ]);
  await eventually('two dead letters', 5_000, async () => {
    const letters = await Promise.all([0, 1, 2, 3].map((partition) => node.log.range('dats.dlq', partition)));
    return letters.reduce((sum, { end }) => sum + end, 0) === 2;
  });
  // All of this may take less time than a look at the event loop.
  await eventually('a look at the event loop', 5_000, async () => {
    const response = await scrape(node.metricsUrl!);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    text = await response.text();
    metrics = parseExposition(text);
    return value('dats_event_loop_delay_seconds') !== undefined;
  });
});
afterAll(async () => {
  await node?.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('the metrics of a node', () => {
  it('say what its tasks went through', () => {
    expect(value('dats_task_events_total', { type: 'completed' })).toBe(3);
    expect(value('dats_task_events_total', { type: 'failed' })).toBe(1);
    expect(value('dats_task_stage_duration_seconds_count', { stage: 'total', outcome: 'ok' })).toBe(3);
    expect(value('dats_task_stage_duration_seconds_count', { stage: 'generation', outcome: 'ok' })).toBe(6);
    expect(value('dats_task_failures_total', { code: 'model_refused' })).toBe(1);
    expect(value('dats_qa_verdicts_total', { profile: 'syntax', verdict: 'rejected' })).toBe(3);
    expect(value('dats_qa_verdicts_total', { profile: 'syntax', verdict: 'validated' })).toBe(3);
    expect(value('dats_consumer_committed_records_total', { group: 'workers', topic: 'dats.work.small' })).toBe(4);
    expect(value('dats_dlq_records_total', { topic: 'dats.work.qa', reason: 'unknown_type' })).toBe(1);
    expect(value('dats_dlq_records_total', { topic: 'dats.lifecycle', reason: 'unknown_type' })).toBe(1);
  });

  it('say what its models did and cost', () => {
    const model = { gen_ai_operation_name: 'chat', gen_ai_provider_name: 'scripted', gen_ai_request_model: 'recorded' };
    expect(value('gen_ai_client_operation_duration_seconds_count', { ...model, error_type: '' })).toBe(6);
    expect(value('gen_ai_client_operation_duration_seconds_count', { ...model, error_type: 'model_refused' })).toBe(1);
    expect(value('gen_ai_client_token_usage_count', { ...model, gen_ai_token_type: 'output' })).toBe(7);
    const tokens = (type: string) => value('gen_ai_client_token_usage_sum', { ...model, gen_ai_token_type: type })!;
    expect(value('dats_spend_usd_total', { provider: 'scripted', model: 'recorded' })).toBeCloseTo(
      (tokens('input') + 2 * tokens('output')) / 1e6,
    );
    expect(value('dats_router_decisions_total', { model: 'recorded', tier: 'medium' })).toBe(3);
    expect(value('dats_router_decisions_total', { model: 'none', reason: 'model_refused' })).toBe(1);
    expect(value('dats_gateway_overhead_seconds_count')).toBe(6);
    expect(value('dats_model_up', { model: 'recorded' })).toBe(1);
  });

  it('say how the process, its requests and what it needs are', () => {
    expect(value('dats_http_request_duration_seconds_count', { method: 'POST', route: '/api/v1/tasks', status: '202' })).toBe(4);
    expect(value('dats_dependency_up', { name: 'log' })).toBe(1);
    expect(value('dats_build_info')).toBe(1);
    expect(value('dats_consumer_owned_partitions', { topic: 'dats.work.small' })).toBe(4);
    expect(value('dats_consumer_lag_records', { group: 'core' })).toBe(0);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(value('dats_event_loop_delay_seconds', { quantile: '0.99' })).toBeGreaterThanOrEqual(0);
    expect(value('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
  });

  it('are all there, under the names and with the labels that they are listed with', () => {
    for (const { name, type, labels } of Object.values(CATALOGUE)) {
      const metric = metrics.get(name);
      expect(metric?.type, name).toBe(type);
      for (const { labels: found } of metric!.samples)
        expect(
          Object.keys(found).filter((label) => label !== 'le'),
          name,
        ).toEqual([...labels]);
    }
  });

  it('name no task, no project and nobody', () => {
    for (const id of [...ids, PROJECT]) expect(text).not.toContain(id);
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/);
  });

  it('are what the dashboards and the alert rules ask for', () => {
    const defined = new Map(Object.values(CATALOGUE).map((one) => [one.name as string, one.labels as readonly string[]]));
    const baseOf = (name: string) => (metrics.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''));
    const unknown = promQueries().flatMap(({ where, expr }) => {
      const asked = askedBy(expr);
      const missing = [...asked.metrics].flatMap(([name, selected]) => {
        if (name === 'up') return [];
        if (!metrics.has(baseOf(name))) return [name];
        const known = new Set([...(defined.get(baseOf(name)) ?? []), 'job', 'instance', 'le']);
        return [...selected, ...asked.groupedBy].filter((label) => !known.has(label)).map((label) => `${name}{${label}}`);
      });
      return missing.map((what) => `${where}: ${what}`);
    });
    expect(unknown).toEqual([]);
  });
});

describe('a process without the gateway role', () => {
  const freePort = (): Promise<number> =>
    new Promise((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as AddressInfo;
        server.close(() => resolve(port));
      });
    });

  it('has its metrics on a port of its own, on loopback, and nothing else', async () => {
    const port = await freePort();
    const { config, version, baseDir } = configuration('worker', { telemetry: { metrics_port: port } });
    const worker = await startNode({ config, configVersion: version, baseDir, env: {}, roles: parseRoles('workers:qa') });
    try {
      expect([worker.url, worker.metricsUrl]).toEqual([undefined, `http://127.0.0.1:${port}/metrics`]);
      const parsed = parseExposition(await (await scrape(worker.metricsUrl!)).text());
      expect(parsed.get('dats_consumer_owned_partitions')?.samples.map(({ labels }) => labels['topic'])).toEqual(['dats.work.qa']);
      expect((await scrape(`http://127.0.0.1:${port}/health`)).status).toBe(404);
    } finally {
      await worker.stop();
    }
  });

  it('has none where no port is given', async () => {
    const { config, version, baseDir } = configuration('silent');
    const worker = await startNode({ config, configVersion: version, baseDir, env: {}, roles: parseRoles('workers:qa') });
    expect(worker.metricsUrl).toBeUndefined();
    await worker.stop();
  });
});

describe('a node whose Kafka and ClickHouse take connections and never answer', () => {
  it('is scraped within the time of a scrape, and says who does not answer', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const { config, version, baseDir } = configuration('cut-off', {
      log: { kind: 'kafka', kafka: { brokers: [address] } },
      views: { kind: 'memory' },
      analytics: { kind: 'server', url: `http://${address}` },
    });
    const cutOff = await startNode({ config, configVersion: version, baseDir, env: {}, roles: parseRoles('gateway') });
    try {
      const began = performance.now();
      const parsed = parseExposition(await (await scrape(cutOff.metricsUrl!)).text());
      expect(performance.now() - began).toBeLessThan(3_000);
      const up = new Map(parsed.get('dats_dependency_up')!.samples.map(({ labels, value: is }) => [labels['name'], is]));
      expect([up.get('log'), up.get('deciders'), up.get('analytics'), up.get('views')]).toEqual([0, 0, 0, 1]);
      expect(parsed.get('dats_consumer_lag_records')!.samples).toEqual([]);
      expect(parsed.get('dats_scrape_unanswered_total')!.samples.find(({ labels }) => labels['part'] === 'lag core')?.value).toBe(1);
    } finally {
      await cutOff.stop();
      silent.close();
    }
  });
});
