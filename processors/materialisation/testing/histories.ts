// Events of many tasks of several projects, mixed as a seed says, and what the views show of them.
import { type DataOf, type DatsEvent, derivedId, type EventType, LIFECYCLE } from '../../../schemas/index.js';
import { type Log, outgoing, type ViewStore } from '../../../streams/index.js';
import { eventOf } from '../../testing/index.js';
import { analysis, creation, output, ready } from '../../testing/pipeline-world.js';
import { VIEW } from '../index.js';

/** Uniform in [0, 1), the same sequence for the same seed (mulberry32). */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
};

const PROJECTS = ['north', 'south', 'east', 'west'];
const START_MS = Date.parse('2026-01-01T00:00:00.000Z');

type Said = readonly [type: EventType, data: unknown, subject?: string];

/** What cascades and rollbacks say of an artifact, in any order. */
const fates = (task_id: string, random: () => number): readonly Said[] => {
  const { artifact_id, path } = output({ task_id, attempt: 1 }).artifacts[0]!;
  const about = { artifact_id, task_id, path };
  const fate = (): Said => {
    const by = { ...about, cascade_id: `c${Math.floor(random() * 3)}` };
    const rollback = { ...about, rollback_id: 'r' };
    const said: readonly (readonly [EventType, unknown])[] = [
      ['dats.artifact.suspect', { ...by, depth: 1 }],
      ['dats.artifact.tainted', { ...by, depth: 1, cause: 'edge', reason: 'made from it' }],
      ['dats.artifact.revalidated', { ...by, attempt: 1, verdict: 'cleared', profile: 'tests', checks: [], reasons: [] }],
      ['dats.artifact.reverted', rollback],
      ['dats.artifact.restored', { ...rollback, mark: 'clean' }],
    ];
    return [...said[Math.floor(random() * said.length)]!, artifact_id];
  };
  return Array.from({ length: Math.floor(random() * 4) }, fate);
};

/** What is said about one task, in order. Every fourth is cancelled, some stay where they are; what is made may be marked, also after the end. */
const life = (task_id: string, kind: number, random: () => number): readonly Said[] => {
  const events: Said[] = [
    ['dats.task.created', creation(task_id)],
    ['dats.task.analyzed', analysis(task_id)],
    ['dats.task.ready', ready(task_id)],
  ];
  if (kind % 4 === 0) return [...events, ['dats.task.cancelled', { task_id, by: 'tester', reason: 'not needed' }]];
  if (kind % 7 === 0) return events;
  const took = Math.floor(random() * 5_000);
  return [
    ...events,
    ['dats.task.output.created', output({ task_id, attempt: 1 })],
    ...(kind % 5 === 0 ? fates(task_id, random) : []),
    ['dats.task.completed', { task_id, attempt: 1, provenance_id: 'v', execution_time_ms: took }],
    ...(kind % 2 === 0 ? [] : fates(task_id, random)),
  ];
};

/** The events of `count` tasks; each task's in order, the tasks mixed. */
export const histories = (count: number, random: () => number, name = 'task'): readonly DatsEvent[] => {
  const open = Array.from({ length: count }, (_, i) => ({
    project: PROJECTS[Math.floor(random() * PROJECTS.length)]!,
    rest: [...life(`${name}-${i}`, i, random)],
  }));
  const events: DatsEvent[] = [];
  while (open.length > 0) {
    const at = Math.floor(random() * Math.min(open.length, 40));
    const { project, rest } = open[at]!;
    const [type, data, subject] = rest.shift()!;
    const time = new Date(START_MS + events.length * 500).toISOString();
    const id = derivedId(name, events.length);
    events.push(
      eventOf(type, data as DataOf<typeof type>, { projectid: project, time, id, ...(subject === undefined ? {} : { subject }) }),
    );
    if (rest.length === 0) open.splice(at, 1);
  }
  return events;
};

export const append = async (log: Log, events: readonly DatsEvent[]): Promise<void> => {
  await log.append(events.map((event) => outgoing(LIFECYCLE, event)));
};

/** Has `views` everything that the log holds now? A store that does not answer has not. */
export const hasAll = async (log: Log, views: ViewStore): Promise<boolean> => {
  for (let partition = 0; partition < log.partitions(LIFECYCLE); partition++) {
    const { end } = await log.range(LIFECYCLE, partition);
    if ((await views.checkpoint(VIEW, partition).catch(() => -1)) < end) return false;
  }
  return true;
};

/** All that the views show about these events. */
export const shown = async (views: ViewStore, events: readonly DatsEvent[]): Promise<unknown> => {
  const tasks = [...new Set(events.flatMap(({ data }) => ('task_id' in data && data.task_id !== undefined ? [data.task_id] : [])))].sort();
  const artifacts = events.flatMap((event) =>
    event.type === 'dats.task.output.created' ? event.data.artifacts.map(({ artifact_id }) => artifact_id) : [],
  );
  const read = async (collection: string, ids: readonly string[]) => {
    const found: [string, unknown][] = [];
    for (const id of ids) found.push([id, await views.get(collection, id)]);
    return found;
  };
  const options = { limit: 100_000 };
  return {
    tasks: await read('task', tasks),
    artifacts: await read('artifact', artifacts),
    projects: await read('project', PROJECTS),
    all: await views.list('task', 'all/', options),
    byProject: await Promise.all(PROJECTS.map((project) => views.list('task', `project/${project}/`, options))),
    byTask: await views.list('artifact', 'task/', options),
  };
};
