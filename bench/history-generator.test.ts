import { describe, expect, test } from 'vitest';
import { decode, LIFECYCLE, partitionOf, TELEMETRY } from '../schemas/index.js';
import type { Outgoing } from '../streams/index.js';
import { type HistoryShape, openHistory, projectAt, RECORDS_PER_EXECUTION } from './history-generator.js';

const FROM = Date.UTC(2026, 7, 1);
const SHAPE: HistoryShape = { seed: 7, executions: 1_500, projects: 50, partitions: 4, open: 32, samplesFrom: FROM };
const STEP_MS = 250;

const all = (shape: HistoryShape, batch = 1_000): readonly Outgoing[] => {
  const history = openHistory(shape);
  const records: Outgoing[] = [];
  for (let next = history.next(batch, FROM, STEP_MS); next.length > 0; next = history.next(batch, FROM + records.length * STEP_MS, STEP_MS))
    records.push(...next);
  return records;
};
const decoded = (records: readonly Outgoing[]) => records.map(({ headers, value }) => decode(headers, value));

describe('a generated history', () => {
  const records = all(SHAPE);
  const events = decoded(records);

  test('holds only events that fit their schemas', () => {
    expect(events).toHaveLength(records.length);
    expect(new Set(events.map(({ type }) => type)).size).toBeGreaterThanOrEqual(14);
    expect(new Set(events.map(({ id }) => id)).size).toBe(records.length);
  });

  test('is the same for the same seed, in whatever batches it is taken, and another for another', () => {
    const text = (some: readonly Outgoing[]) => some.map(({ headers, value, key }) => JSON.stringify([headers, value, key]));
    expect(text(all(SHAPE, 77))).toEqual(text(records));
    expect(text(all({ ...SHAPE, seed: 8 }))).not.toEqual(text(records));
  });

  test('has as many executions as asked for, with their shares of statuses, and about as many records as is said', () => {
    const { tally } = (() => {
      const history = openHistory(SHAPE);
      while (history.next(1_000, FROM, STEP_MS).length > 0);
      return history;
    })();
    expect(tally.executions).toBe(SHAPE.executions);
    expect(Object.values(tally.statuses).reduce((sum, n) => sum + n, 0)).toBe(SHAPE.executions);
    expect(tally.statuses.accepted! / SHAPE.executions).toBeCloseTo(0.8, 1);
    expect(tally.statuses.rejected! / SHAPE.executions).toBeCloseTo(0.15, 1);
    expect(Object.keys(tally.statuses).sort()).toEqual(['accepted', 'cancelled', 'failed', 'rejected', 'timed_out']);
    expect(Math.abs(records.length / (SHAPE.executions * RECORDS_PER_EXECUTION) - 1)).toBeLessThan(0.05);
  });

  test('is counted as it is', () => {
    const history = openHistory(SHAPE);
    while (history.next(1_000, FROM, STEP_MS).length > 0);
    const outputs = events.filter((event) => event.type === 'dats.task.output.created');
    expect(history.tally).toMatchObject({
      lifecycle: records.filter(({ topic }) => topic === LIFECYCLE).length,
      telemetry: records.filter(({ topic }) => topic === TELEMETRY).length,
      artifacts: outputs.reduce((sum, { data }) => sum + data.artifacts.length, 0),
      edges: outputs.reduce((sum, { data }) => sum + data.artifacts.length * data.consumed.length, 0),
      calls: events.filter(({ type }) => type === 'dats.model.called').length,
      samples: events.filter(({ type }) => type === 'dats.node.sampled').length,
    });
  });

  test('begins a task with its creation, ends it once, and its times never go back', () => {
    const seen = new Map<string, string[]>();
    for (const event of events)
      if (event.type.startsWith('dats.task.')) seen.set(event.subject, [...(seen.get(event.subject) ?? []), event.type]);
    const ends = new Set(['dats.task.completed', 'dats.task.failed', 'dats.task.cancelled']);
    for (const types of seen.values()) {
      expect(types[0]).toBe('dats.task.created');
      expect(types.filter((type) => ends.has(type))).toEqual([types.at(-1)]);
    }
    expect(events.every(({ time }, i) => i === 0 || time >= events[i - 1]!.time)).toBe(true);
  });

  test('names places of earlier events where they are: the creation, and the output that holds what is consumed', () => {
    const offsets = [0, 0, 0, 0];
    const at = new Map<string, (typeof events)[number]>();
    let consumed = 0;
    for (const [i, { topic, key }] of records.entries()) {
      if (topic !== LIFECYCLE) continue;
      const partition = partitionOf(key, 4);
      const event = events[i]!;
      at.set(`${partition}-${offsets[partition]!++}`, event);
      if (event.type === 'dats.task.ready')
        expect(at.get(`${partition}-${event.data.context.created}`)).toMatchObject({ type: 'dats.task.created', subject: event.subject });
      if (event.type !== 'dats.task.output.created') continue;
      for (const input of event.data.consumed) {
        consumed++;
        const source = at.get(`${partition}-${input.at}`);
        expect(source).toMatchObject({ type: 'dats.task.output.created', projectid: event.projectid, subject: input.task_id });
        expect(JSON.stringify(source!.data)).toContain(input.artifact_id);
      }
    }
    expect(consumed).toBeGreaterThan(SHAPE.executions / 2);
  });

  test('samples no node before telemetry is kept', () => {
    const from = FROM + 1_000 * STEP_MS;
    const samples = decoded(all({ ...SHAPE, samplesFrom: from })).filter(({ type }) => type === 'dats.node.sampled');
    expect(samples.length).toBeGreaterThan(0);
    expect(samples.every(({ time }) => Date.parse(time) >= from)).toBe(true);
  });
});

test('the largest project has a tenth, however many there are', () => {
  const SHARES = 100_000;
  for (const projects of [20, 200, 5_000]) {
    const at = Array.from({ length: SHARES }, (_, i) => projectAt(projects, i / SHARES));
    expect(at.filter((project) => project === 0).length / SHARES).toBeCloseTo(0.1, 3);
    expect(Math.max(...at)).toBe(projects - 1);
  }
});
