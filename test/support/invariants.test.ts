// Each violation is caught, and a good log has none.
import { describe, expect, it } from 'vitest';
import { type DatsEvent, type EventType, partitionOf, type TaskView, type Topic } from '../../schemas/index.js';
import { type Expectation, type LoggedEvent, violationsOf } from './invariants.js';

const PARTITIONS = 4;
const PROJECT = 'alpha';
const PARTITION = partitionOf(PROJECT, PARTITIONS);

type Said = readonly [type: EventType, task: string, data?: object, attributes?: object];

/** A log of one project's lifecycle, ids `e0`, `e1` ... by place. */
const logOf = (...said: readonly Said[]): LoggedEvent[] =>
  said.map(([type, task, data, attributes], offset) => ({
    topic: 'dats.lifecycle' satisfies Topic,
    partition: PARTITION,
    offset,
    key: PROJECT,
    event: {
      id: `e${offset}`,
      type,
      subject: task,
      time: `2026-11-21T00:00:${String(offset).padStart(2, '0')}.000Z`,
      projectid: PROJECT,
      data: { task_id: task, depends_on: [], ...data },
      ...attributes,
    } as unknown as DatsEvent,
  }));

const first = { attempt: 1 };
const whole = (task: string, created: object = {}): Said[] => [
  ['dats.task.created', task, created],
  ['dats.task.analyzed', task],
  ['dats.task.ready', task, first],
  ['dats.task.started', task, first],
  ['dats.task.output.created', task, { ...first, artifacts: [{ sha256: 'abc' }] }],
  ['dats.task.validated', task, first],
  ['dats.task.completed', task, first],
];

const GOOD = whole('t');
const viewOf = (change: Partial<TaskView> = {}): TaskView =>
  ({
    task_id: 't',
    project_id: PROJECT,
    state: 'completed',
    attempt: 1,
    first_offset: 0,
    last_offset: 6,
    completed_at: '2026-11-21T00:00:06.000Z',
    artifacts: [{ sha256: 'abc' }],
    ...change,
  }) as TaskView;

const check = (log: readonly LoggedEvent[], expected: Partial<Expectation> = {}): readonly string[] =>
  violationsOf(log, { partitions: PARTITIONS, maxRunning: 2, acknowledged: [], views: [], ...expected });
/** The rules that were broken. */
const rules = (log: readonly LoggedEvent[], expected: Partial<Expectation> = {}): string[] => [
  ...new Set(check(log, expected).map((violation) => violation.slice(0, violation.indexOf(':')))),
];
const without = (type: EventType): Said[] => GOOD.filter(([other]) => other !== type);
const changed = (place: number, change: Partial<LoggedEvent>): LoggedEvent[] =>
  logOf(...GOOD).map((logged, i) => (i === place ? { ...logged, ...change } : logged));

describe('the invariants of a log', () => {
  it('find nothing in a good one', () => {
    expect(check(logOf(...GOOD), { acknowledged: [{ task_id: 't', project_id: PROJECT }], views: [viewOf()] })).toEqual([]);
    const retried = logOf(
      ...GOOD.slice(0, 5),
      ['dats.task.rejected', 't', first],
      ['dats.task.retry.scheduled', 't', { attempt: 2 }],
      ['dats.task.ready', 't', { attempt: 2 }],
      ['dats.task.output.created', 't', { attempt: 2, artifacts: [] }],
      ['dats.task.validated', 't', { attempt: 2 }],
      ['dats.task.completed', 't', { attempt: 2 }],
    );
    expect(check(retried)).toEqual([]);
    const family = logOf(
      ['dats.task.created', 'p'],
      ['dats.task.analyzed', 'p'],
      ['dats.task.decomposed', 'p'],
      ...whole('c', { parent_id: 'p' }),
      ['dats.task.completed', 'p', { attempt: 0 }],
    );
    expect(check(family)).toEqual([]);
  });

  it('may have gaps where the log leaves them, and still no offset twice', () => {
    const gappy = logOf(...GOOD).map((logged) => ({ ...logged, offset: logged.offset * 2 }));
    const view = { ...viewOf(), last_offset: 12 };
    expect(check(gappy, { gaps: true, views: [view] })).toEqual([]);
    expect(rules(gappy)).toEqual(['I1 offsets']);
    expect(rules(changed(3, { offset: 2 }), { gaps: true })).toContain('I1 offsets');
  });

  it.each<[string, string, LoggedEvent[]]>([
    ['a gap', 'I1 offsets', changed(6, { offset: 9 })],
    ['an offset that stands twice', 'I1 offsets', changed(3, { offset: 2 })],
    ['a project in a second partition', 'I1 partition', changed(6, { partition: (PARTITION + 1) % PARTITIONS, offset: 0 })],
    ['a record under the key of another project', 'I1 key', changed(1, { key: 'beta' })],
    [
      'an event that stands twice',
      'I2 event id twice',
      [...logOf(...GOOD, GOOD[5]!)].map((l, i) => (i === 7 ? { ...l, event: { ...l.event, id: 'e5' } } : l)),
    ],
    ['a cause that is missing', 'I9 cause', logOf(['dats.task.created', 't', {}, { causationid: 'nobody' }])],
    ['a cause that comes later', 'I9 cause', logOf(['dats.task.created', 't', {}, { causationid: 'e1' }], ['dats.task.analyzed', 't'])],
    ['a task that is created twice', 'I3 created', logOf(...GOOD, ['dats.task.created', 't'])],
    ['a task that is never created', 'I3 created', logOf(...without('dats.task.created'))],
    ['an event before the task', 'I3 created', logOf(['dats.task.cancel.requested', 't'], ...GOOD)],
    ['two ends', 'I3 terminal', logOf(...GOOD, ['dats.task.failed', 't', first])],
    ['a cancelled task that completed', 'I3 cancelled', logOf(['dats.task.created', 't'], ['dats.task.cancelled', 't'], ...GOOD.slice(1))],
    ['two outputs of one attempt', 'I4 once an attempt', logOf(...GOOD, GOOD[4]!)],
    ['two verdicts of one attempt', 'I4 once an attempt', logOf(...GOOD.slice(0, 6), ['dats.task.rejected', 't', first], GOOD[6]!)],
    ['ready before analysed', 'I5 order', logOf(...without('dats.task.analyzed'))],
    ['an output without its attempt', 'I5 order', logOf(...without('dats.task.ready'))],
    ['a verdict without an output', 'I5 order', logOf(...without('dats.task.output.created'))],
    ['an end without a verdict', 'I5 order', logOf(...without('dats.task.validated'))],
    ['a verdict of another attempt', 'I5 order', logOf(...GOOD.slice(0, 5), ['dats.task.validated', 't', { attempt: 2 }], GOOD[6]!)],
    ['a decision after the end', 'I6 after the end', logOf(...GOOD, ['dats.task.queued', 't', { attempt: 2 }])],
    ['a dependant that did not wait', 'I7 dependency', logOf(...whole('d', { depends_on: ['t'] }), ...GOOD)],
    [
      'a dependant of a task that did not complete',
      'I7 dependency',
      logOf(['dats.task.created', 't'], ['dats.task.failed', 't'], ...whole('d', { depends_on: ['t'] })),
    ],
    [
      'a subtask before its plan',
      'I7 parent',
      logOf(...whole('c', { parent_id: 'p' }), ['dats.task.created', 'p'], ['dats.task.decomposed', 'p']),
    ],
    [
      'a parent that did not wait',
      'I7 parent',
      logOf(
        ['dats.task.created', 'p'],
        ['dats.task.decomposed', 'p'],
        ['dats.task.created', 'c', { parent_id: 'p' }],
        ['dats.task.completed', 'p'],
      ),
    ],
    ['more places than there are', 'I8 places', logOf(...['a', 'b', 'c'].flatMap((task) => whole(task).slice(0, 3)))],
  ])('find %s', (_, rule, log) => {
    expect(rules(log)).toContain(rule);
  });

  it('find what was acknowledged and lost, not ended, or given to another project', () => {
    const acknowledged = [{ task_id: 't', project_id: PROJECT }];
    expect(rules([], { acknowledged })).toEqual(['I10 lost']);
    expect(rules(logOf(...GOOD.slice(0, 4)), { acknowledged })).toEqual(['I10 not ended']);
    expect(rules(logOf(...GOOD), { acknowledged: [{ task_id: 't', project_id: 'beta' }] })).toEqual(['I10 project']);
  });

  it.each<[string, Partial<TaskView>]>([
    ['state', { state: 'failed' }],
    ['project', { project_id: 'beta' }],
    ['attempt', { attempt: 2 }],
    ['first offset', { first_offset: 1 }],
    ['last offset', { last_offset: 5 }],
    ['completion time', { completed_at: null }],
    ['artifacts', { artifacts: [] }],
  ])('find a view with another %s', (what, change) => {
    expect(check(logOf(...GOOD), { views: [viewOf(change)] })).toEqual([
      expect.stringMatching(new RegExp(`^I11 view: task t shows ${what} `)),
    ]);
  });

  it('find a view of a task that has not ended, and count what they do not list', () => {
    expect(rules(logOf(...GOOD.slice(0, 3)), { views: [viewOf()] })).toEqual(['I11 view']);
    const many = Array.from({ length: 30 }, (_, i) => ({ task_id: `lost-${i}`, project_id: PROJECT }));
    expect(check([], { acknowledged: many }).at(-1)).toBe('I10 lost: ... and 10 more');
  });
});
