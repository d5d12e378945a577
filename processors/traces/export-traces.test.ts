import { afterEach, describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, type EventType, Fault, LIFECYCLE, TELEMETRY } from '../../schemas/index.js';
import { type Log, outgoing } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { faultyLog } from '../../streams/testing/faulty-log.js';
import { eventOf } from '../testing/index.js';
import { analysis, creation, output } from '../testing/pipeline-world.js';
import { openDelivery } from './deliver.js';
import { exportTraces } from './export-traces.js';
import type { Span } from './span.js';
import { edgesOf, faultsOfTrace } from './testing/trees.js';

const CALLER = 'b7ad6b7169203331';
const TRACEPARENT = `00-0af7651916cd43dd8448eb211c80319c-${CALLER}-01`;
const GROUP = 'traces';

const event = <T extends EventType>(type: T, data: DataOf<T>, n: number): DatsEvent =>
  ({ ...eventOf(type, data, { id: derivedId('export', n) }), traceparent: TRACEPARENT, causationid: 'c' }) as DatsEvent;
const FIRST = [event('dats.task.created', creation('t'), 0), event('dats.task.analyzed', analysis('t'), 1)];
const READY = event(
  'dats.task.ready',
  {
    task_id: 't',
    attempt: 1,
    tier: 'small',
    domain: 'code',
    prompt_version: 'p',
    context: { created: 0, inputs: [] },
    due: '2026-01-01T01:00:00.000Z',
  },
  2,
);
const REST = [
  event('dats.task.output.created', output({ task_id: 't', attempt: 1 }), 3),
  event('dats.task.validated', { task_id: 't', attempt: 1, profile: 'none', checks: [], score: 1 }, 4),
  event('dats.task.completed', { task_id: 't', attempt: 1, provenance_id: 'v', execution_time_ms: 1 }, 5),
];
const CALL = event(
  'dats.model.called',
  {
    operation: 'chat',
    model: 'm',
    request_model: 'm',
    provider: 'p',
    purpose: 'generate',
    task_id: 't',
    attempt: 1,
    node: 'n',
    input_tokens: 1,
    output_tokens: 1,
    duration_ms: 1,
    outcome: 'ok',
  },
  6,
);
const EDGES = ['- > task', 'task > analyse', 'task > attempt 1', 'attempt 1 > check', 'attempt 1 > generate', 'generate > chat m'].sort();

let log: Log;
afterEach(() => log.close());

const append = (events: readonly DatsEvent[]) =>
  log.append(events.map((one) => outgoing(one.type === 'dats.model.called' ? TELEMETRY : LIFECYCLE, one)));
const lag = async (): Promise<number> => (await log.lag(GROUP, [LIFECYCLE, TELEMETRY])).reduce((sum, one) => sum + one.lag, 0);

/** A collector in the test, and a member of the group that exports to it. */
const collector = () => {
  const spans: Span[] = [];
  let bell: (() => void) | undefined;
  const problems: Fault[] = [];
  const state = { failing: undefined as Fault | undefined, tries: 0 };
  const delivery = openDelivery({
    send: async (batch) => {
      state.tries++;
      queueMicrotask(() => bell?.());
      if (state.failing) throw state.failing;
      spans.push(...batch);
    },
    onProblem: (fault) => problems.push(fault),
    wait: () => new Promise((resolve) => setImmediate(resolve)),
  });
  return {
    spans,
    problems,
    state,
    join: (from: Log = log) =>
      from.join(GROUP, [LIFECYCLE, TELEMETRY], (assignment) =>
        exportTraces(assignment, { delivery, system: 'dats', paceMs: 0, onProblem: (fault) => problems.push(fault) }),
      ),
    /** Resolves when `holds`; looked at after every try to send. */
    until: async (holds: () => boolean): Promise<void> => {
      while (!holds())
        await new Promise<void>((resolve) => {
          bell = resolve;
        });
    },
  };
};

describe('the export of traces', () => {
  it('sends the spans of lifecycle and telemetry, and is not behind then', async () => {
    log = openMemoryLog({ partitions: 2 });
    const { spans, join, until } = collector();
    await append([...FIRST, READY, ...REST, CALL]);
    const member = await join();
    await until(() => spans.length === EDGES.length);
    await member.leave();
    expect(edgesOf(spans)).toEqual(EDGES);
    expect(faultsOfTrace(spans, new Set([CALLER]))).toEqual([]);
    expect(await lag()).toBe(0);
  });

  it('goes on in the middle of a task after a restart', async () => {
    log = openMemoryLog({ partitions: 1 });
    const before = collector();
    await append([...FIRST, READY]);
    const first = await before.join();
    await before.until(() => before.spans.length === 1);
    await first.leave();
    expect(await lag()).toBe(0);
    const after = collector();
    await append([...REST, CALL]);
    const second = await after.join();
    await after.until(() => after.spans.length === EDGES.length - 1);
    await second.leave();
    expect(edgesOf([...before.spans, ...after.spans])).toEqual(EDGES);
  });

  it('commits nothing that the collector does not have: while it is away the log waits, and then all is there', async () => {
    log = openMemoryLog({ partitions: 1 });
    const { spans, state, problems, join, until } = collector();
    state.failing = new Fault('retryable', 'collector_unreachable', 'away');
    await append([...FIRST, READY, ...REST, CALL]);
    const behind = await lag();
    const member = await join();
    await until(() => state.tries > 10);
    expect(await lag()).toBe(behind);
    expect(problems.map(({ code }) => code)).toEqual(['collector_unreachable']);
    state.failing = undefined;
    await until(() => spans.length === EDGES.length);
    await member.leave();
    expect(edgesOf(spans)).toEqual(EDGES);
    expect(await lag()).toBe(0);
  });

  it('ends when it is to end, also while the collector is away', async () => {
    log = openMemoryLog({ partitions: 1 });
    const { state, join, until } = collector();
    state.failing = new Fault('retryable', 'collector_unreachable', 'away');
    await append([...FIRST, READY]);
    const member = await join();
    await until(() => state.tries > 2);
    await member.leave();
    expect(await lag()).toBeGreaterThan(0);
  });

  it('sends the same spans again when it ended between the send and the commit', async () => {
    log = openMemoryLog({ partitions: 1 });
    const before = collector();
    await append([...FIRST, READY, ...REST]);
    const faulty = faultyLog(log);
    for (const _ of [LIFECYCLE, TELEMETRY]) faulty.failAt('commit:before', new Fault('fenced', 'fenced', 'somebody else owns it'));
    const lost = await before.join(faulty);
    await before.until(() => before.spans.length === EDGES.length - 1);
    await lost.leave();
    const after = collector();
    const member = await after.join();
    await after.until(() => after.spans.length === EDGES.length - 1);
    await member.leave();
    expect(after.spans).toEqual(before.spans);
  });

  it('passes over a record that is no event, and tells it', async () => {
    log = openMemoryLog({ partitions: 1 });
    const { spans, problems, join, until } = collector();
    await log.append([
      { topic: LIFECYCLE, key: 'project', headers: { type: 'dats.task.created', dataschema: 'urn:dats:task.created:1' }, value: '{' },
    ]);
    await append(FIRST);
    const member = await join();
    await until(() => spans.length === 1);
    await member.leave();
    expect(problems.map(({ code }) => code)).toEqual(['not_json']);
  });
});
