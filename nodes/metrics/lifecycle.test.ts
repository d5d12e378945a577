import { beforeEach, describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, dataschemaOf, type EventType, Fault, LIFECYCLE, newId } from '../../schemas/index.js';
import { outgoing, type Recorded } from '../../streams/index.js';
import { deadLetter, deadLetterAlert } from '../../streams/runtime/index.js';
import { CATALOGUE } from './catalogue.js';
import { openHistogram, openNumbers } from './instruments.js';
import { type LifecycleObserver, OPEN_LIMIT, observeLifecycle } from './lifecycle.js';

const open = () => ({
  taskEvents: openNumbers(CATALOGUE.taskEvents),
  stages: openHistogram(CATALOGUE.stages),
  taskFailures: openNumbers(CATALOGUE.taskFailures),
  verdicts: openNumbers(CATALOGUE.verdicts),
  deadLetters: openNumbers(CATALOGUE.deadLetters),
});
let metrics: ReturnType<typeof open>;
let told: LifecycleObserver;
beforeEach(() => {
  metrics = open();
  told = observeLifecycle(metrics);
});

const event = <T extends EventType>(seconds: number, type: T, data: object, task = 't'): DatsEvent =>
  ({
    specversion: '1.0',
    id: newId(),
    source: '/test',
    type,
    time: new Date(1_760_000_000_000 + seconds * 1_000).toISOString(),
    subject: task,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: 'p',
    correlationid: newId(),
    actor: 'test',
    configversion: 'test',
    data: { task_id: task, ...data } as unknown as DataOf<T>,
  }) as unknown as DatsEvent;
const said = (...events: readonly DatsEvent[]) => events.map((one) => outgoing(LIFECYCLE, one));
const created = (seconds: number, options: object = {}, task = 't') => event(seconds, 'dats.task.created', { options }, task);

/** Count and sum of a stage's durations. */
const stage = (name: string, outcome: string): readonly [number, number] => {
  const { counts, sum } = metrics.stages.of(name, outcome);
  return [counts.reduce((total, count) => total + count, 0), sum];
};

describe('stages', () => {
  it('of a task that is rejected once', () => {
    told([created(0)], said(event(1, 'dats.task.analyzed', {}), event(3, 'dats.task.ready', { attempt: 1 })));
    told([event(4, 'dats.task.started', {}), event(8, 'dats.task.output.created', {})], []);
    told([event(9, 'dats.task.rejected', { profile: 'syntax' })], said(event(9, 'dats.task.retry.scheduled', {})));
    told([], said(event(19, 'dats.task.ready', { attempt: 2 })));
    told([event(22, 'dats.task.output.created', {})], []);
    told([event(24, 'dats.task.validated', { profile: 'syntax' })], said(event(24, 'dats.task.completed', { execution_time_ms: 24_000 })));
    expect(stage('analysis', 'ok')).toEqual([1, 1]);
    expect(stage('queue', 'ok')).toEqual([1, 2]);
    expect(stage('generation', 'ok')).toEqual([2, 5 + 3]);
    expect(stage('qa', 'rejected')).toEqual([1, 1]);
    expect(stage('retry', 'ok')).toEqual([1, 10]);
    expect(stage('qa', 'ok')).toEqual([1, 2]);
    expect(stage('total', 'ok')).toEqual([1, 24]);
    expect([metrics.verdicts.of('syntax', 'rejected').value, metrics.verdicts.of('syntax', 'validated').value]).toEqual([1, 1]);
    expect(metrics.taskEvents.of('output.created').value).toBe(2);
  });

  it('of a task that is split, and of one that is cancelled while it runs', () => {
    told([created(0, { decompose: true })], said(event(1, 'dats.task.analyzed', {})));
    told([event(6, 'dats.task.decomposed', {})], []);
    told([], said(event(16, 'dats.task.completed', { execution_time_ms: 16_000 })));
    expect([stage('decomposition', 'ok'), stage('subtasks', 'ok'), stage('queue', 'ok')]).toEqual([
      [1, 5],
      [1, 10],
      [0, 0],
    ]);
    told([created(0)], said(event(0, 'dats.task.analyzed', {}), event(0, 'dats.task.ready', {})));
    told([event(7, 'dats.task.cancel.requested', {})], said(event(7, 'dats.task.cancelled', {})));
    expect([stage('generation', 'cancelled'), stage('total', 'cancelled')]).toEqual([
      [1, 7],
      [1, 7],
    ]);
  });

  it('of a task that fails for good count its code, and the stage it failed in once', () => {
    told([created(0)], said(event(0, 'dats.task.analyzed', {}), event(0, 'dats.task.ready', {})));
    const error = { code: 'model_refused', message: '', retryable: false };
    told([event(5, 'dats.task.attempt.failed', { stage: 'generation', error })], said(event(5, 'dats.task.failed', { error })));
    expect([stage('generation', 'failed'), stage('total', 'failed'), stage('retry', 'failed')]).toEqual([
      [1, 5],
      [1, 5],
      [0, 0],
    ]);
    expect(metrics.taskFailures.of('model_refused').value).toBe(1);
  });

  it('are not guessed: what comes late, or of a task begun elsewhere, counts only what it says itself', () => {
    told([event(9, 'dats.task.output.created', {}, 'elsewhere')], []);
    told([], said(event(10, 'dats.task.completed', { execution_time_ms: 4_000 }, 'elsewhere')));
    told([created(0)], said(event(0, 'dats.task.analyzed', {})));
    told([event(3, 'dats.task.output.created', {})], []);
    expect([stage('generation', 'ok'), stage('total', 'ok')]).toEqual([
      [0, 0],
      [1, 4],
    ]);
  });

  it('never take less than nothing, whatever the clocks say', () => {
    told([created(10)], said(event(8, 'dats.task.analyzed', {})));
    expect(stage('analysis', 'ok')).toEqual([1, 0]);
  });
});

it('of endlessly many open tasks the oldest are forgotten', () => {
  for (let i = 0; i <= OPEN_LIMIT; i++) told([created(0, {}, `t${i}`)], []);
  told([], said(event(1, 'dats.task.analyzed', {}, 't0'), event(1, 'dats.task.analyzed', {}, `t${OPEN_LIMIT}`)));
  expect(stage('analysis', 'ok')).toEqual([1, 1]);
});

it('a dead letter counts by its topic and reason, its alert does not', () => {
  const record: Recorded = { topic: LIFECYCLE, partition: 0, offset: 3, key: 'p', headers: {}, value: '?', type: '', timestamp: 0 };
  const failure = { group: 'core', fault: new Fault('terminal', 'not_json', 'no'), attempts: 1, firstFailedAt: 0, failedAt: 0 };
  told([], [deadLetter(record, failure), deadLetterAlert(record, failure)]);
  expect(metrics.deadLetters.of(LIFECYCLE, 'not_json').value).toBe(1);
});
