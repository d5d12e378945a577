// What must hold of a whole log, whatever was killed while it was written. Pure: events in, violations in words out.
//
// I1. Offsets of a partition are rising, and dense where the log leaves no gaps; a project lives in one partition. I2. No event id is there twice.
// I3. A task has one `created`, first of all its events, and at most one terminal event; a cancelled task has no `completed`.
// I4. At most one output and one verdict a (task, attempt). I5. Cause before effect: created, analysed, ready, output, verdict, completed.
// I6. Nothing is decided for a task after its end. I7. What depends on a task is ready only after that one completed; a parent ends after its subtasks.
// I8. At most `maxRunning` tasks of a project hold a place. I9. Every `causationid` is in the log, before its effect where both share a partition.
// I10. Every acknowledged task is there and ended. I11. Views say what the log says.
import { type DatsEvent, type EventType, isTerminal, partitionOf, type TaskView, type Topic } from '../../schemas/index.js';

export interface LoggedEvent {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly event: DatsEvent;
}

export interface Expectation {
  readonly partitions: number;
  readonly maxRunning: number;
  /** Offsets may have gaps, as on Kafka, where the end of a transaction takes one. Default: they are dense. */
  readonly gaps?: boolean;
  /** Tasks that a submitter was told were taken. */
  readonly acknowledged: readonly { readonly task_id: string; readonly project_id: string }[];
  /** What GET /tasks/{id} said at the end. */
  readonly views: readonly TaskView[];
}

/** More of one kind are counted, not listed. */
const LISTED = 20;

type Report = (rule: string, what: string) => void;
const at = ({ topic, partition, offset }: LoggedEvent): string => `${topic} p${partition}-${offset}`;
const taskOf = (event: DatsEvent): string | undefined => ('task_id' in event.data ? event.data.task_id : undefined);
const attemptOf = (event: DatsEvent): number | undefined => ('attempt' in event.data ? event.data.attempt : undefined);

/** Violations; empty when all is well. */
export const violationsOf = (events: readonly LoggedEvent[], expected: Expectation): readonly string[] => {
  const found = new Map<string, string[]>();
  const report: Report = (rule, what) => {
    const list = found.get(rule) ?? [];
    found.set(rule, list);
    list.push(what);
  };
  const lifecycle = events.filter((logged) => logged.topic === 'dats.lifecycle');
  checkOffsets(events, expected, report);
  checkIds(events, report);
  checkCauses(events, report);
  const tasks = historiesOf(lifecycle);
  for (const [task, history] of tasks) checkTask(task, history, report);
  checkFamilies(tasks, report);
  checkPlaces(lifecycle, expected.maxRunning, report);
  for (const { task_id, project_id } of expected.acknowledged) checkAcknowledged(task_id, project_id, tasks.get(task_id), report);
  for (const view of expected.views) checkView(view, tasks.get(view.task_id), report);
  return [...found].flatMap(([rule, list]) => [
    ...list.slice(0, LISTED).map((what) => `${rule}: ${what}`),
    ...(list.length > LISTED ? [`${rule}: ... and ${list.length - LISTED} more`] : []),
  ]);
};

const historiesOf = (lifecycle: readonly LoggedEvent[]): ReadonlyMap<string, readonly LoggedEvent[]> => {
  const tasks = new Map<string, LoggedEvent[]>();
  for (const logged of lifecycle) {
    const task = taskOf(logged.event);
    if (task === undefined) continue;
    const history = tasks.get(task);
    if (history) history.push(logged);
    else tasks.set(task, [logged]);
  }
  return tasks;
};

const checkOffsets = (events: readonly LoggedEvent[], { partitions, gaps = false }: Expectation, report: Report): void => {
  const next = new Map<string, number>();
  for (const logged of events) {
    const place = `${logged.topic}/${logged.partition}`;
    const due = next.get(place) ?? 0;
    if (gaps ? logged.offset < due : logged.offset !== due)
      report('I1 offsets', `${at(logged)} stands where ${due} is due${gaps ? ' at the earliest' : ''}`);
    next.set(place, logged.offset + 1);
    if (partitionOf(logged.key, partitions) !== logged.partition) report('I1 partition', `${at(logged)} has key ${logged.key}`);
    if (logged.topic === 'dats.lifecycle' && logged.key !== logged.event.projectid)
      report('I1 key', `${at(logged)} of project ${logged.event.projectid} has key ${logged.key}`);
  }
};

const checkIds = (events: readonly LoggedEvent[], report: Report): void => {
  const seen = new Map<string, LoggedEvent>();
  for (const logged of events) {
    const { id, type } = logged.event;
    const first = seen.get(id);
    if (first) report('I2 event id twice', `${id} (${type}) at ${at(first)} and ${at(logged)}`);
    else seen.set(id, logged);
  }
};

const checkCauses = (events: readonly LoggedEvent[], report: Report): void => {
  const byId = new Map(events.map((logged) => [logged.event.id, logged]));
  for (const logged of events) {
    const { causationid } = logged.event;
    if (causationid === undefined) continue;
    const cause = byId.get(causationid);
    if (!cause) report('I9 cause', `${at(logged)} (${logged.event.type}) was caused by ${causationid}, which is not in the log`);
    else if (cause.topic === logged.topic && cause.partition === logged.partition && cause.offset >= logged.offset)
      report('I9 cause', `${at(logged)} (${logged.event.type}) stands before its cause ${at(cause)}`);
  }
};

/** What must stand before the first of each type, by the same task and, where `attempt`, the same attempt. */
const BEFORE: readonly { readonly type: EventType; readonly needs: readonly EventType[]; readonly attempt?: true }[] = [
  { type: 'dats.task.analyzed', needs: ['dats.task.created'] },
  { type: 'dats.task.ready', needs: ['dats.task.analyzed'] },
  { type: 'dats.task.started', needs: ['dats.task.ready'], attempt: true },
  { type: 'dats.task.output.created', needs: ['dats.task.ready'], attempt: true },
  { type: 'dats.task.validated', needs: ['dats.task.output.created'], attempt: true },
  { type: 'dats.task.rejected', needs: ['dats.task.output.created'], attempt: true },
  { type: 'dats.task.completed', needs: ['dats.task.validated'], attempt: true },
  { type: 'dats.task.cancelled', needs: ['dats.task.created'] },
];
const ONCE_AN_ATTEMPT: readonly (readonly EventType[])[] = [
  ['dats.task.ready'],
  ['dats.task.output.created'],
  ['dats.task.validated', 'dats.task.rejected'],
];
const DECIDED: ReadonlySet<string> = new Set<EventType>([
  'dats.task.analyzed',
  'dats.task.decomposed',
  'dats.task.queued',
  'dats.task.ready',
  'dats.task.retry.scheduled',
]);

const checkTask = (task: string, history: readonly LoggedEvent[], report: Report): void => {
  const of = (...types: readonly string[]) => history.filter(({ event }) => types.includes(event.type));
  const created = of('dats.task.created');
  if (created.length !== 1) report('I3 created', `task ${task} has ${created.length} created events: ${created.map(at).join(', ')}`);
  if (created.length > 0 && history[0] !== created[0])
    report('I3 created', `task ${task} begins with ${history[0]!.event.type} at ${at(history[0]!)}`);
  const ends = history.filter(({ event }) => isTerminal(event.type));
  if (ends.length > 1)
    report('I3 terminal', `task ${task} ended ${ends.length} times: ${ends.map((end) => `${end.event.type} at ${at(end)}`).join(', ')}`);
  if (of('dats.task.cancelled').length > 0 && of('dats.task.completed').length > 0)
    report('I3 cancelled', `task ${task} was cancelled and completed`);
  for (const types of ONCE_AN_ATTEMPT) {
    const attempts = of(...types).map(({ event }) => attemptOf(event));
    const twice = attempts.find((attempt, i) => attempts.indexOf(attempt) !== i);
    if (twice !== undefined) report('I4 once an attempt', `task ${task} has ${types.join('/')} of attempt ${twice} more than once`);
  }
  const end = ends[0];
  for (const logged of history) {
    if (end && logged.offset > end.offset && DECIDED.has(logged.event.type))
      report('I6 after the end', `task ${task} has ${logged.event.type} at ${at(logged)} after ${end.event.type} at ${at(end)}`);
    checkOrder(task, logged, history, report);
  }
};

const checkOrder = (task: string, logged: LoggedEvent, history: readonly LoggedEvent[], report: Report): void => {
  for (const { type, needs, attempt } of BEFORE) {
    if (logged.event.type !== type) continue;
    // A parent completes with its subtasks, without an output or a verdict of its own.
    if (type === 'dats.task.completed' && history.some(({ event }) => event.type === 'dats.task.decomposed')) continue;
    const fits = (other: LoggedEvent) => other.offset < logged.offset && (!attempt || attemptOf(other.event) === attemptOf(logged.event));
    for (const need of needs)
      if (!history.some((other) => other.event.type === need && fits(other)))
        report('I5 order', `task ${task} has ${type} at ${at(logged)} without ${need} before it`);
  }
};

const offsetOf = (history: readonly LoggedEvent[] | undefined, type: (type: string) => boolean): number =>
  history?.find(({ event }) => type(event.type))?.offset ?? Number.POSITIVE_INFINITY;

const checkFamilies = (tasks: ReadonlyMap<string, readonly LoggedEvent[]>, report: Report): void => {
  for (const [task, history] of tasks) {
    const created = history.find(({ event }) => event.type === 'dats.task.created')?.event;
    if (created?.type !== 'dats.task.created') continue;
    const ready = offsetOf(history, (type) => type === 'dats.task.ready');
    for (const other of created.data.depends_on)
      if (ready !== Number.POSITIVE_INFINITY && offsetOf(tasks.get(other), (type) => type === 'dats.task.completed') > ready)
        report('I7 dependency', `task ${task} was ready at ${ready} before ${other} completed`);
    const { parent_id } = created.data;
    if (parent_id === undefined) continue;
    const parent = tasks.get(parent_id);
    if (offsetOf(parent, (type) => type === 'dats.task.decomposed') > history[0]!.offset)
      report('I7 parent', `subtask ${task} was created before ${parent_id} was decomposed`);
    if (offsetOf(parent, (type) => type === 'dats.task.completed') < offsetOf(history, isTerminal))
      report('I7 parent', `${parent_id} completed before its subtask ${task} ended`);
  }
};

const checkPlaces = (lifecycle: readonly LoggedEvent[], maxRunning: number, report: Report): void => {
  const places = new Map<string, Set<string>>();
  for (const logged of lifecycle) {
    const { event } = logged;
    const task = taskOf(event);
    if (task === undefined) continue;
    const held = places.get(event.projectid) ?? new Set();
    places.set(event.projectid, held);
    if (event.type === 'dats.task.ready') held.add(task);
    else if (event.type === 'dats.task.retry.scheduled' || isTerminal(event.type)) held.delete(task);
    if (held.size > maxRunning)
      report('I8 places', `${held.size} tasks of ${event.projectid} hold a place at ${at(logged)}, the limit is ${maxRunning}`);
  }
};

const checkAcknowledged = (task: string, project: string, history: readonly LoggedEvent[] | undefined, report: Report): void => {
  if (!history) report('I10 lost', `task ${task} of ${project} was acknowledged and is not in the log`);
  else if (!history.some(({ event }) => isTerminal(event.type)))
    report(
      'I10 not ended',
      `task ${task} of ${project} stopped after ${history.map(({ event }) => event.type.slice('dats.task.'.length)).join(', ')}`,
    );
  else if (history[0]!.event.projectid !== project)
    report('I10 project', `task ${task} of ${project} is in the log as one of ${history[0]!.event.projectid}`);
};

const checkView = (view: TaskView, history: readonly LoggedEvent[] | undefined, report: Report): void => {
  const differs = (what: string, shown: unknown, logged: unknown): void => {
    if (shown !== logged)
      report('I11 view', `task ${view.task_id} shows ${what} ${JSON.stringify(shown)}, the log says ${JSON.stringify(logged)}`);
  };
  const end = history?.find(({ event }) => isTerminal(event.type));
  if (!history || !end) return report('I11 view', `task ${view.task_id} is shown as ${view.state}, the log has no end of it`);
  const attempts = history.filter(({ event }) => event.type === 'dats.task.ready').map(({ event }) => attemptOf(event) ?? 0);
  differs('state', view.state, end.event.type.slice('dats.task.'.length));
  differs('project', view.project_id, history[0]!.event.projectid);
  differs('attempt', view.attempt, Math.max(0, ...attempts));
  differs('first offset', view.first_offset, history[0]!.offset);
  differs('last offset', view.last_offset, end.offset);
  differs('completion time', view.completed_at, end.event.time);
  const output = history.findLast(({ event, offset }) => event.type === 'dats.task.output.created' && offset < end.offset)?.event;
  if (output?.type === 'dats.task.output.created' && end.event.type === 'dats.task.completed')
    differs('artifacts', view.artifacts.map(({ sha256 }) => sha256).join(), output.data.artifacts.map(({ sha256 }) => sha256).join());
};
