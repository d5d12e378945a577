import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, type EventType, encode, LIFECYCLE, TELEMETRY } from '../../../schemas/index.js';
import type { Recorded } from '../../../streams/index.js';
import { eventOf } from '../../testing/index.js';
import { analysis, creation, output } from '../../testing/pipeline-world.js';
import type { TaskContext } from './context.js';
import { openFold } from './fold.js';
import type { EventRow } from './row.js';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const recordOf = (event: DatsEvent, offset: number, topic: Recorded['topic'] = LIFECYCLE): Recorded => {
  const { headers, value } = encode(event);
  return { topic, partition: 0, offset, key: event.projectid, headers, value, type: event.type, timestamp: START + offset };
};

type Said = { [T in EventType]: readonly [T, DataOf<T>] }[EventType];
/** One event a second, of one partition. */
const recordsOf = (...said: readonly Said[]): Recorded[] =>
  said.map(([type, data], i) => recordOf(eventOf(type, data as DataOf<typeof type>, { time: at(i), id: `e${i}` }), i));
const at = (second: number): string => new Date(START + second * 1_000).toISOString();
const rowsOf = (records: readonly Recorded[], contexts = new Map<string, TaskContext>()): EventRow[] => {
  const fold = openFold(contexts);
  return records.map((record) => fold.take(record));
};

const ready = (attempt: number, tier: 'small' | 'medium' = 'small'): Said => [
  'dats.task.ready',
  { task_id: 'a', attempt, tier, domain: 'web', prompt_version: `p@${attempt}`, context: { created: 0, inputs: [] }, due: at(600) },
];
const started = (attempt: number): Said => [
  'dats.task.started',
  { task_id: 'a', attempt, node: `n${attempt}`, worker: `n${attempt}:1`, fence: `f${attempt}` },
];
const made = (attempt: number): Said => [
  'dats.task.output.created',
  {
    ...output({ task_id: 'a', attempt }),
    model: `m${attempt}`,
    tokens_in: attempt,
    consumed: [{ artifact_id: 'x', task_id: 'b', path: 'x.txt', sha256: '0'.repeat(64), at: 3 }],
  },
];
const verdict = (attempt: number) => ({
  task_id: 'a',
  attempt,
  profile: 'tests' as const,
  checks: [
    { name: 'syntax:python', status: 'passed' as const, duration_ms: 1 },
    { name: 'tests:python', status: 'failed' as const, duration_ms: 1 },
    { name: 'lint', status: 'skipped' as const, duration_ms: 0 },
  ],
  score: 0.5,
});
const rejected = (attempt: number): Said => ['dats.task.rejected', { ...verdict(attempt), reasons: ['wrong', 'slow'], retryable: true }];
const validated = (attempt: number): Said => ['dats.task.validated', verdict(attempt)];
const failedAttempt = (attempt: number): Said => [
  'dats.task.attempt.failed',
  { task_id: 'a', attempt, stage: 'generation', error: { code: 'model_error', message: 'boom', retryable: true } },
];
const timedOut = (attempt: number): Said => ['dats.task.timedout', { task_id: 'a', attempt, after_ms: 10_000 }];
const retry = (attempt: number): Said => [
  'dats.task.retry.scheduled',
  { task_id: 'a', attempt, due: at(20), backoff_ms: 1, tier: 'medium', escalated: true, reason: 'rejected' },
];
const completed = (attempt: number): Said => [
  'dats.task.completed',
  { task_id: 'a', attempt, provenance_id: derivedId('a', 'execution', attempt), execution_time_ms: 9_000 },
];
const begin: readonly Said[] = [
  ['dats.task.created', creation('a', { priority: 'high', parent_id: 'mother' })],
  ['dats.task.analyzed', { ...analysis('a'), mode: 'fix', domain: 'web' }],
];
const cancelled: Said = ['dats.task.cancelled', { task_id: 'a', reason: 'not needed', by: 'me' }];
const failed = (attempt: number, code: string): Said => [
  'dats.task.failed',
  { task_id: 'a', attempt, error: { code, message: 'm', retryable: false } },
];

/** `type/attempt: status` of the rows that end an execution. */
const endsOf = (rows: readonly EventRow[]): string[] =>
  rows.filter((row) => row.execution_status !== undefined).map((row) => `${row.type}/${row.attempt}: ${row.execution_status}`);

describe('the history of one task', () => {
  it('through a retry to acceptance: every later row says what was said of the task and its attempt', () => {
    const contexts = new Map<string, TaskContext>();
    const rows = rowsOf(
      recordsOf(
        ...begin,
        ready(1),
        started(1),
        made(1),
        rejected(1),
        retry(2),
        ready(2, 'medium'),
        started(2),
        made(2),
        validated(2),
        completed(2),
      ),
      contexts,
    );
    expect(endsOf(rows)).toEqual(['dats.task.rejected/1: rejected', 'dats.task.validated/2: accepted']);
    expect(rows[5]).toMatchObject({
      task_id: 'a',
      parent_id: 'mother',
      priority: 'high',
      mode: 'fix',
      domain: 'web',
      tier: 'small',
      task_created_at: at(0),
      ready_at: at(2),
      started_at: at(3),
      output_at: at(4),
      node: 'n1',
      worker: 'n1:1',
      fence: 'f1',
      model: 'm1',
      input_tokens: 1,
      prompt_version: 'p@1',
      provenance_id: derivedId('a', 'execution', 1),
      artifact_ids: [derivedId('a', 1, 'a.txt')],
      artifact_bytes: [1],
      consumed_ids: ['x'],
      consumed_tasks: ['b'],
      profile: 'tests',
      score: 0.5,
      checks_passed: ['syntax:python'],
      checks_failed: ['tests:python'],
      reasons: ['wrong', 'slow'],
    });
    // What is to come has nothing of what was.
    expect(rows[6]).toMatchObject({ attempt: 2, provenance_id: derivedId('a', 'execution', 2), reasons: ['rejected'] });
    expect(rows[6]).not.toHaveProperty('model');
    expect(rows[7]).toMatchObject({ attempt: 2, tier: 'medium', ready_at: at(7), prompt_version: 'p@2' });
    expect(rows[7]).not.toHaveProperty('node');
    expect(rows[7]).not.toHaveProperty('artifact_ids');
    expect(rows[11]).toMatchObject({ model: 'm2', node: 'n2', execution_time_ms: 9_000, provenance_id: derivedId('a', 'execution', 2) });
    expect(contexts.size).toBe(0);
  });

  it('a failed attempt and a deadline end the execution that is open, and with what', () => {
    const rows = rowsOf(recordsOf(...begin, ready(1), failedAttempt(1), retry(2), ready(2), started(2), failed(2, 'deadline')));
    expect(endsOf(rows)).toEqual(['dats.task.attempt.failed/1: failed', 'dats.task.failed/2: failed']);
    expect(rows[3]).toMatchObject({ error_code: 'model_error', error_message: 'boom' });
    expect(rows.at(-1)).toMatchObject({ error_code: 'deadline', node: 'n2' });
  });

  it('a failure after a verdict, or before any attempt, ends no execution', () => {
    expect(endsOf(rowsOf(recordsOf(...begin, ready(1), made(1), rejected(1), failed(1, 'attempts'))))).toEqual([
      'dats.task.rejected/1: rejected',
    ]);
    expect(
      endsOf(
        rowsOf(
          recordsOf(
            begin[0]!,
            ['dats.task.attempt.failed', { ...(failedAttempt(0)[1] as DataOf<'dats.task.attempt.failed'>), stage: 'analysis' }],
            failed(0, 'analysis'),
          ),
        ),
      ),
    ).toEqual([]);
  });

  it('cancelled while it runs ends its execution, which has what is known of it; cancelled while it waits ends none', () => {
    const rows = rowsOf(recordsOf(...begin, ready(1), started(1), cancelled));
    expect(endsOf(rows)).toEqual(['dats.task.cancelled/1: cancelled']);
    expect(rows.at(-1)).toMatchObject({
      node: 'n1',
      provenance_id: derivedId('a', 'execution', 1),
      error_code: 'cancelled',
      error_message: 'not needed',
    });
    expect(endsOf(rowsOf(recordsOf(...begin, cancelled)))).toEqual([]);
  });

  it('an answer that is too late ends nothing, while the next attempt waits and while it runs', () => {
    const rows = rowsOf(
      recordsOf(
        ...begin,
        ready(1),
        started(1),
        timedOut(1),
        made(1),
        validated(1),
        retry(2),
        ready(2),
        started(2),
        made(1),
        rejected(1),
        made(2),
        validated(2),
      ),
    );
    expect(endsOf(rows)).toEqual(['dats.task.timedout/1: timed_out', 'dats.task.validated/2: accepted']);
  });

  it('an answer that is too late says what it made, and nothing of the attempt that is open (O2)', () => {
    const rows = rowsOf(recordsOf(...begin, ready(1), started(1), timedOut(1), ready(2), started(2), made(2), made(1), rejected(1)));
    expect(rows[8]).toMatchObject({
      attempt: 1,
      provenance_id: derivedId('a', 'execution', 1),
      model: 'm1',
      artifact_ids: [derivedId('a', 1, 'a.txt')],
    });
    expect(rows[8]).not.toHaveProperty('node');
    expect(rows[9]).toMatchObject({ attempt: 1, tier: 'small' });
    for (const column of ['node', 'model', 'artifact_ids', 'ready_at']) expect(rows[9]).not.toHaveProperty(column);
  });

  it('what comes after its end is remembered of no task: contexts do not pile up (C1)', () => {
    const contexts = new Map<string, TaskContext>();
    const rows = rowsOf(recordsOf(begin[0]!, cancelled, begin[1]!, made(1), validated(1)), contexts);
    expect(contexts.size).toBe(0);
    expect(rows.map((row) => row.task_id)).toEqual(['a', 'a', 'a', 'a', 'a']);
  });
});

describe('what is found out later', () => {
  const artifact = (attempt: number) => derivedId('a', attempt, 'a.txt');
  const about = (attempt: number) => ({ artifact_id: artifact(attempt), task_id: 'a', path: 'a.txt', cascade_id: 'c' });
  const tainted = (attempt: number): Said => [
    'dats.artifact.tainted',
    { ...about(attempt), depth: 1, cause: 'edge', reason: 'made from it' },
  ];
  const revalidated: Said = [
    'dats.artifact.revalidated',
    {
      cascade_id: 'c',
      artifact_id: artifact(1),
      task_id: 'a',
      attempt: 1,
      verdict: 'failed',
      profile: 'tests',
      checks: verdict(1).checks,
      reasons: ['wrong'],
    },
  ];

  it('of an artifact says what made it only while that is known, never what made another (O2)', () => {
    const rows = rowsOf(recordsOf(...begin, ready(1), made(1), tainted(1), rejected(1), ready(2), tainted(1), made(2), tainted(2)));
    expect(rows[4]).toMatchObject({ task_id: 'a', attempt: 1, model: 'm1', provenance_id: derivedId('a', 'execution', 1) });
    expect(rows[4]).toMatchObject({ reasons: ['made from it'] });
    for (const column of ['attempt', 'provenance_id', 'model', 'ready_at']) expect(rows[7]).not.toHaveProperty(column);
    expect(rows[7]).toMatchObject({ task_id: 'a', priority: 'high' });
    expect(rows[9]).toMatchObject({ attempt: 2, model: 'm2' });
  });

  it('of a task that is over has its attempt where it says so, ends nothing, and is remembered of no task', () => {
    const contexts = new Map<string, TaskContext>();
    const rows = rowsOf(recordsOf(...begin, ready(1), made(1), validated(1), completed(1), revalidated, tainted(1), rejected(1)), contexts);
    expect(endsOf(rows)).toEqual(['dats.task.validated/1: accepted']);
    expect(rows[6]).toMatchObject({
      attempt: 1,
      provenance_id: derivedId('a', 'execution', 1),
      profile: 'tests',
      checks_failed: ['tests:python'],
      reasons: ['wrong'],
    });
    expect(rows[6]).not.toHaveProperty('score');
    expect(rows[7]).not.toHaveProperty('attempt');
    expect(rows[8]).toMatchObject({ attempt: 1, reasons: ['wrong', 'slow'] });
    expect(contexts.size).toBe(0);
  });

  it('of no task has its row, with what it is for', () => {
    const limits = { max_depth: 1, max_artifacts: 1, per_second: 1, revalidations: 1, unproven: 'taint' } as const;
    const rows = rowsOf(
      recordsOf(
        ['dats.cascade.requested', { cascade_id: 'c', trigger: 'request', selector: { model: 'm' }, reason: 'poisoned', by: 'me', limits }],
        ['dats.security.alert', { alert_id: 's', kind: 'secret_leaked', severity: 'high', artifact_id: 'x', detail: 'a key', by: 'me' }],
        ['dats.replay.failed', { replay_id: 'r', error: { code: 'slice_empty', message: 'nothing', retryable: false } }],
      ),
    );
    for (const row of rows) expect(row).not.toHaveProperty('task_id');
    expect(rows[0]).toMatchObject({ type: 'dats.cascade.requested', reasons: ['poisoned'] });
    expect(rows[1]).toMatchObject({ error_code: 'secret_leaked', error_message: 'a key' });
    expect(rows[2]).toMatchObject({ error_code: 'slice_empty' });
  });
});

describe('records that are no events of this build', () => {
  const good = recordsOf(...begin, ready(1), made(1), validated(1));
  const withRecord = (changed: Partial<Recorded>): EventRow[] => rowsOf([good[0]!, { ...good[1]!, ...changed }, ...good.slice(2)]);

  it.each([
    ['of an unknown type', { type: 'dats.task.sung', headers: { ...good[1]!.headers, type: 'dats.task.sung' } }, 'unknown_type'],
    ['of a later version', { headers: { ...good[1]!.headers, dataschema: 'urn:dats:task.analyzed:9' } }, 'unknown_version'],
    ['that is no JSON', { value: '{"task_id": ' }, 'not_json'],
    ['that does not fit its schema', { value: '{"task_id": 7}' }, 'bad_event'],
    ['without any headers', { headers: {}, type: '' }, 'not_an_event'],
    ['of bytes', { value: Uint8Array.of(0xff, 0x00, 0xfe) }, 'not_json'],
    [
      'of a decider, whose data is not what its type says',
      {
        headers: {
          ...good[1]!.headers,
          type: 'dats.task.output.created',
          dataschema: 'urn:dats:task.output.created:1',
          source: '/deciders/x',
        },
        type: 'dats.task.output.created',
        value: '{"task_id":"a","attempt":1}',
      },
      'unexpected',
    ],
  ] as readonly (readonly [string, Partial<Recorded>, string])[])(
    'one %s is a bare row, and the others are as they were',
    (_, changed, code) => {
      const rows = withRecord(changed);
      expect(rows).toHaveLength(good.length);
      expect(rows[1]).toMatchObject({
        offset: 1,
        partition: 0,
        error_code: code,
        time: changed.headers !== undefined && !('time' in changed.headers) ? new Date(good[1]!.timestamp).toISOString() : at(1),
      });
      expect(typeof rows[1]!.data).toBe('string');
      expect(endsOf(rows)).toEqual(['dats.task.validated/1: accepted']);
    },
  );
});

describe('telemetry', () => {
  it('a model call is of its task and attempt, at its cost to the last digit, and opens no context', () => {
    const contexts = new Map<string, TaskContext>();
    const data: DataOf<'dats.model.called'> = {
      operation: 'chat',
      model: 'm',
      request_model: 'M',
      provider: 'p',
      purpose: 'generate',
      task_id: 'a',
      attempt: 2,
      node: 'n',
      input_tokens: 3,
      output_tokens: 4,
      cost_usd: 0.000000123,
      price_version: '2026-01',
      time_to_first_chunk_ms: 5,
      duration_ms: 6,
      outcome: 'error',
      error_type: 'timeout',
    };
    const [row] = rowsOf([recordOf(eventOf('dats.model.called', data), 0, TELEMETRY)], contexts);
    expect(row).toMatchObject({
      task_id: 'a',
      attempt: 2,
      provenance_id: derivedId('a', 'execution', 2),
      node: 'n',
      cost_usd: '0.000000123',
      price_version: '2026-01',
      first_chunk_ms: 5,
      duration_ms: 6,
      outcome: 'error',
      error_code: 'timeout',
    });
    expect(contexts.size).toBe(0);
  });
});
