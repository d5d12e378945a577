// Signed history over HTTP: a project's events in a memory log, the auditor behind them, and the routes as a client sees them.
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { auditHistory, refuteProof, writeBundle } from '../../processors/audit/index.js';
import { KEY, keyOf } from '../../processors/audit/testing/histories.js';
import {
  AUDIT,
  type AuditCheckpoints,
  type AuditProof,
  type AuditReport,
  auditCheckpointsSchema,
  auditProofSchema,
  auditReportSchema,
  Fault,
  LIFECYCLE,
  newId,
  type Problem,
  partitionOf,
} from '../../schemas/index.js';
import type { Log, Membership, Outgoing, Recorded } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { handlerOf } from '../dispatch.js';
import { auditRoutes } from '../routes/audit.js';
import type { Services } from '../services.js';

const PARTITIONS = 2;
const PROJECT = 'demo';

let log: Log;
let member: Membership | undefined;
/** What the routes see of the log. */
let seen: Log;
beforeEach(() => {
  log = openMemoryLog({ partitions: PARTITIONS });
  seen = log;
});
afterEach(async () => {
  await member?.leave();
  member = undefined;
  await log.close();
});

const app = (audit: { vkey: string } | null = { vkey: KEY.vkey }): Hono => {
  const config = { gateway: { body_limit_bytes: 1024 } };
  const logger = { info: () => undefined, warn: () => undefined, error: () => undefined, isLevelEnabled: () => false };
  const deps = { log: seen, config, logger, now: Date.now, ...(audit === null ? {} : { audit }) };
  const services = { deps, closing: new AbortController().signal, answerMs: 10_000 } as unknown as Services;
  const hono = new Hono();
  for (const route of auditRoutes) hono.get(route.path, handlerOf(route, services));
  return hono;
};
const get = async <T>(path: string, status = 200): Promise<T> => {
  const response = await app().request(`/api/v1/audit/${path}`);
  const body = (await response.json()) as T;
  expect([response.status, status === 200 ? '' : body]).toEqual([status, status === 200 ? '' : expect.anything()]);
  return body;
};
const problemOf = async (path: string, status: number): Promise<string> =>
  (await get<Problem>(path, status)).type.replace('/problems/', '');

const event = (type: string, data: object, projectid = PROJECT): Outgoing => {
  const headers = { specversion: '1.0', id: newId(), source: '/testing', type, time: '2026-11-21T00:00:00.000Z', subject: 't', projectid };
  return { topic: LIFECYCLE, key: projectid, headers, value: JSON.stringify(data) };
};
const made = (task: string, attempt: number, artifact: string): Outgoing =>
  event('dats.task.output.created', { task_id: task, attempt, artifacts: [{ artifact_id: artifact, path: 'a.py', sha256: 'x' }] });
const HISTORY = [
  event('dats.task.created', { task_id: 't' }),
  event('dats.task.created', { task_id: 'u' }, 'other'),
  made('t', 1, 'art-1'),
  event('dats.task.rejected', { task_id: 't', attempt: 1 }),
  made('t', 2, 'art-2'),
  event('dats.task.validated', { task_id: 't', attempt: 2 }),
  event('dats.task.completed', { task_id: 't', attempt: 2 }),
  event('com.example.strange', { anything: true }),
];

const recordsOf = async (topic: typeof LIFECYCLE | typeof AUDIT): Promise<Recorded[]> => {
  const partition = partitionOf(PROJECT, PARTITIONS);
  const { end } = await log.range(topic, partition);
  const all: Recorded[] = [];
  if (end > 0)
    for await (const batch of log.read({ topic, partition, offset: 0 }, new AbortController().signal, { until: end })) all.push(...batch);
  return all.filter(({ headers }) => headers.projectid === PROJECT);
};
/** Appends, and waits until a checkpoint covers so many of the project. */
const audited = async (events: readonly Outgoing[], size: number, everyEvents = size): Promise<void> => {
  await log.append(events);
  member = await log.join('audit', [LIFECYCLE], (assignment) =>
    auditHistory(assignment, { key: KEY, partitions: PARTITIONS, configVersion: () => '1', everyEvents, everyMs: 1_000_000 }),
  );
  while ((await recordsOf(AUDIT)).length < Math.floor(size / everyEvents)) await new Promise((resolve) => setImmediate(resolve));
};
const COUNT = HISTORY.filter(({ key }) => key === PROJECT).length;

/** The log with some of its lifecycle records replaced, or taken out. */
const tampered = (edit: (record: Recorded) => Recorded | undefined): Log => {
  const edited = (records: readonly Recorded[]) =>
    records.flatMap((record) => (record.topic === LIFECYCLE ? (edit(record) ?? []) : record));
  return {
    ...bound(log),
    async *read(from, signal, options) {
      for await (const batch of log.read(from, signal, options)) yield edited(batch);
    },
    get: async (position) => {
      const record = await log.get(position);
      return record === undefined ? undefined : edited([record])[0];
    },
  };
};
const bound = (inner: Log): Log => ({
  partitions: (topic) => inner.partitions(topic),
  append: (records) => inner.append(records),
  read: (from, signal, options) => inner.read(from, signal, options),
  get: (position) => inner.get(position),
  range: (topic, partition) => inner.range(topic, partition),
  join: (group, topics, onAssigned) => inner.join(group, topics, onAssigned),
  lag: (group, topics) => inner.lag(group, topics),
  health: () => inner.health(),
  close: () => inner.close(),
});

describe('verify', () => {
  test('finds a history right that is what was signed, up to the last checkpoint', async () => {
    await audited([...HISTORY, event('dats.task.created', { task_id: 'v' })], COUNT);
    const report = auditReportSchema.parse(await get<AuditReport>(`verify?project_id=${PROJECT}`));
    expect(report).toMatchObject({ project_id: PROJECT, ok: true, events: COUNT + 1, size: COUNT, covered: COUNT, uncovered: 1 });
  });

  test('names what is not', async () => {
    await audited(HISTORY, COUNT);
    const [first, victim, gone] = await recordsOf(LIFECYCLE);
    seen = tampered((record) => {
      if (record.offset === gone!.offset && record.partition === gone!.partition) return undefined;
      return record.offset === victim!.offset ? { ...record, value: '{"task_id":"x"}' } : record;
    });
    const report = await get<AuditReport>(`verify?project_id=${PROJECT}`);
    expect(report.problems).toMatchObject([
      { kind: 'changed', offset: victim!.offset, event_id: victim!.headers.id },
      { kind: 'missing', offset: gone!.offset, after: first!.headers.id },
    ]);
  });

  test('of a project that is not there, without a key, or of a log that is away says so', async () => {
    expect(await problemOf('verify?project_id=nobody', 404)).toBe('project-not-found');
    expect(await problemOf('verify', 400)).toBe('invalid-parameter');
    const response = await app(null).request('/api/v1/audit/verify?project_id=demo');
    expect([response.status, ((await response.json()) as Problem).type]).toEqual([501, '/problems/audit-off']);
    seen = { ...bound(log), range: () => Promise.reject(new Fault('retryable', 'log_unavailable', 'away')) };
    for (const path of ['verify', 'bundle', 'checkpoints']) expect(await problemOf(`${path}?project_id=demo`, 503)).toBe('log-unavailable');
  });
});

describe('a proof', () => {
  test('of an event, by id or by place, holds with the key alone', async () => {
    await audited(HISTORY, COUNT);
    for (const { headers, offset } of await recordsOf(LIFECYCLE)) {
      const proof = auditProofSchema.parse(await get<AuditProof>(`proof?event_id=${headers.id}`));
      expect(proof.events).toMatchObject([{ offset, headers }]);
      expect(refuteProof(proof, KEY.vkey)).toBeUndefined();
      expect(refuteProof(proof, keyOf(2).vkey)).toBeDefined();
      expect(await get<AuditProof>(`proof?offset=${offset}&project_id=${PROJECT}`)).toEqual(proof);
    }
  });

  test('of an artifact has all events that made it, and none of another attempt', async () => {
    await audited(HISTORY, COUNT);
    const types = async (artifact: string) => {
      const proof = await get<AuditProof>(`proof?artifact_id=${artifact}&project_id=${PROJECT}`);
      expect(refuteProof(proof, KEY.vkey)).toBeUndefined();
      expect(proof.artifact_id).toBe(artifact);
      return proof.events.map(({ headers, data }) => [headers.type, (data as { attempt: number }).attempt]);
    };
    expect(await types('art-1')).toEqual([['dats.task.output.created', 1]]);
    expect(await types('art-2')).toEqual([
      ['dats.task.output.created', 2],
      ['dats.task.validated', 2],
      ['dats.task.completed', 2],
    ]);
  });

  test('of what is not there, not covered yet, or not what was signed is refused by name', async () => {
    const late = event('dats.task.created', { task_id: 'late' });
    await audited([...HISTORY, late], COUNT);
    expect(await problemOf('proof?event_id=nothing', 404)).toBe('event-not-found');
    expect(await problemOf('proof?artifact_id=nothing', 404)).toBe('event-not-found');
    expect(await problemOf('proof?offset=999&project_id=demo', 404)).toBe('event-not-found');
    expect(await problemOf(`proof?event_id=${late.headers.id}`, 404)).toBe('proof-pending');
    for (const bad of ['proof', 'proof?event_id=a&artifact_id=b', 'proof?offset=1'])
      expect(await problemOf(bad, 400)).toBe('invalid-parameter');
    const [first] = await recordsOf(LIFECYCLE);
    seen = tampered((record) => (record.offset === first!.offset ? { ...record, headers: { ...record.headers, source: '/eve' } } : record));
    expect(await problemOf(`proof?event_id=${first!.headers.id}`, 409)).toBe('history-tampered');
  });
});

describe('a bundle', () => {
  test('is a stream that makes the files to verify elsewhere', async () => {
    await audited(HISTORY, COUNT, 3);
    const response = await app().request(`/api/v1/audit/bundle?project_id=${PROJECT}`);
    expect(response.headers.get('content-type')).toMatch(/^application\/x-ndjson/);
    const lines = (await response.text()).split('\n');
    expect(JSON.parse(lines[0]!)).toEqual({ vkey: KEY.vkey, origin: `dats/projects/${PROJECT}`, project: PROJECT });
    const files: Record<string, string> = {};
    const written = await writeBundle(lines, (file, text) => {
      files[file] = (files[file] ?? '') + text;
    });
    expect(written).toMatchObject({ events: COUNT, checkpoints: Math.floor(COUNT / 3) });
    expect(
      files['events.jsonl']!.trim()
        .split('\n')
        .map((line) => JSON.parse(line).headers.id),
    ).toEqual(HISTORY.filter(({ key }) => key === PROJECT).map(({ headers }) => headers.id));
  });

  test('that fails on the way is cut off: its end is not there', async () => {
    await audited(HISTORY, COUNT);
    seen = {
      ...bound(log),
      async *read(from, signal, options) {
        if (from.topic === AUDIT) throw new Fault('retryable', 'log_unavailable', 'away');
        yield* log.read(from, signal, options);
      },
    };
    const response = await app().request(`/api/v1/audit/bundle?project_id=${PROJECT}`);
    await expect(response.text()).rejects.toThrow('away');
  });

  test('that nobody reads to the end stops reading the log', async () => {
    await audited(
      Array.from({ length: 2_000 }, (_, n) => event('dats.task.created', { task_id: 't', n, text: 'x'.repeat(200) })),
      2_000,
    );
    let ended = false;
    seen = {
      ...bound(log),
      async *read(from, signal, options) {
        try {
          yield* log.read(from, signal, { ...options, maxBatch: 10 });
        } finally {
          ended = true;
        }
      },
    };
    const response = await app().request(`/api/v1/audit/bundle?project_id=${PROJECT}`);
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    while (!ended) await new Promise((resolve) => setImmediate(resolve));
  });
});

test('checkpoints are listed newest first, as many as are asked for', async () => {
  await audited(HISTORY, COUNT, 2);
  const all = auditCheckpointsSchema.parse(await get<AuditCheckpoints>(`checkpoints?project_id=${PROJECT}`));
  expect(all).toMatchObject({ vkey: KEY.vkey, origin: `dats/projects/${PROJECT}` });
  expect(all.checkpoints.map(({ size }) => size)).toEqual([6, 4, 2]);
  expect((await get<AuditCheckpoints>(`checkpoints?project_id=${PROJECT}&limit=1`)).checkpoints).toEqual(all.checkpoints.slice(0, 1));
  expect(await problemOf('checkpoints?project_id=nobody', 404)).toBe('project-not-found');
});

test('examples of the documents fit their schemas', () => {
  for (const { success } of auditRoutes) for (const { schema, example } of success) if (example !== undefined) schema?.parse(example);
});
