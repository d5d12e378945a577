// What must hold of the logs of a core and its edge nodes whose projects move. Pure but for `homeOf`.
//
// J1. Deciders say a word of a project at its home alone: the node named by the last move, else the one that spoke first. J2. The core has each of their words once.
// J3. Every node has them in one order.
import { linkedFromOf, type ProjectHome, type TaskView } from '../../schemas/index.js';
import { eventOf, isCopy, type Recorded } from '../../streams/index.js';
import type { Api } from './api.js';
import { type Expectation, violationsOf } from './invariants.js';

const DECIDERS = '/deciders/core';

export const homeOf = async (api: Api, project: string): Promise<ProjectHome> =>
  (await api.ask<ProjectHome>('GET', `/api/v1/projects/${project}/home`)).body;

/** Without what was asked at a node that did not decide on it, and sent on: the same event stands there twice. */
export const once = (records: readonly Recorded[]): readonly Recorded[] => {
  const known = new Set<string | undefined>();
  return records.filter(({ headers: { id } }) => !known.has(id) && known.add(id));
};

const originOf = (record: Recorded, here: string): string => (isCopy(record) ? linkedFromOf(record.headers)!.node : here);

/** J1, of one project in the log of a node. */
const usurped = (records: readonly Recorded[], here: string): string[] => {
  let home: string | undefined;
  return records.flatMap((record) => {
    if (record.headers['source'] !== DECIDERS) return [];
    const by = originOf(record, here);
    const event = eventOf(record);
    home ??= by;
    const wrong = by === home ? [] : [`${event.type} of ${event.subject} by ${by}, the home was ${home}`];
    if (event.type === 'dats.project.moved') home = event.data.to;
    return wrong;
  });
};

const decidedIn = (records: readonly Recorded[]): readonly string[] =>
  records.filter(({ headers }) => headers['source'] === DECIDERS).map(({ headers }) => headers['id']!);

/** Violations of J1 to J3 in words; empty: all is well. Records: of the lifecycle topic, those of a project in order. */
export const disagreements = (
  core: string,
  atCore: readonly Recorded[],
  atEdges: ReadonlyMap<string, readonly Recorded[]>,
  projects: readonly string[],
): readonly string[] =>
  projects.flatMap((project) => {
    const of = (records: readonly Recorded[]) => records.filter(({ key }) => key === project);
    const decided = decidedIn(of(atCore));
    const seen = new Set<string>();
    const twice = decided.filter((id) => seen.has(id) || !seen.add(id)).map((id) => `${project}: ${id} is at ${core} twice`);
    const otherwise = [...atEdges].flatMap(([edge, records]) => {
      const there = decidedIn(of(records));
      const known = new Set(there);
      const here = decided.filter((id) => known.has(id));
      const at = there.findIndex((id, i) => id !== here[i]);
      return at < 0 ? [] : [`${project}: ${edge} has ${there[at]} where ${core} has ${here[at]}, ${at} words after the first`];
    });
    return [...usurped(of(atCore), core).map((what) => `${project}: ${what}`), ...twice, ...otherwise];
  });

/**
 * What no move excuses. Causes on work topics stand in the log of the node that did the work. What two nodes pass on may come by two ways, so a cancel may come before
 * its task, and a task before one that it depends on: that one counts as done then.
 */
const EXCUSED = ['I9', 'I7 dependency', 'begins with dats.task.cancel.requested', 'shows first offset'];

/** Violations in the core's records of tasks; see invariants.ts. */
export const movedTaskViolations = (atCore: readonly Recorded[], expected: Omit<Expectation, 'gaps'>): readonly string[] => {
  const events = once(atCore).map((record) => {
    const { topic, partition, offset, key } = record;
    return { topic, partition, offset, key, event: eventOf(record) };
  });
  return violationsOf(events, { ...expected, gaps: true }).filter((violation) => !EXCUSED.some((words) => violation.includes(words)));
};

/** What all nodes say of a task: all but the places, which each log has its own. */
export const told = ({ task_id, status, state, attempt, artifacts, error }: TaskView) => ({
  task_id,
  status,
  state,
  attempt,
  artifacts: artifacts.map(({ artifact_id, sha256 }) => ({ artifact_id, sha256 })),
  error,
});

/** What a failed run was about: a line for each record of these tasks and their subtasks, and of moves of these projects. */
export const trailOf = (
  records: readonly Recorded[],
  tasks: readonly { readonly task_id: string; readonly project_id: string }[],
): string => {
  const about = new Set(tasks.flatMap(({ task_id, project_id }) => [task_id, project_id]));
  for (const record of records) {
    const event = record.type === 'dats.task.decomposed' ? eventOf(record) : undefined;
    if (event?.type === 'dats.task.decomposed' && about.has(event.subject))
      for (const { task_id } of event.data.children) about.add(task_id);
  }
  return records
    .filter(({ type, key, headers }) => about.has(headers['subject']!) || (about.has(key) && type.startsWith('dats.project.')))
    .map(({ offset, partition, key, type, headers }) => {
      const { subject, source, time, linkedfrom = '', afteroffset = '', movesknown = '' } = headers;
      return `p${partition}-${offset} ${key} ${type} of ${subject} by ${source} at ${time} ${linkedfrom} after ${afteroffset} knows ${movesknown}`;
    })
    .join('\n');
};
