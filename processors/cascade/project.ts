// A project as cascades and rollbacks see it: the fold of its events, in the order of the log. The same events give the same state, in whatever process.
//
// F1. Everything that is decided here comes back as an event and is taken in from there, so there is no other state than this fold. F2. An event that was taken in
// before, or comes too late, changes nothing. F3. Only `take` changes a project. F4. An event that it cannot take (of a
// foreign hand: the schema lets it pass) is left out, the same in every process.
import type { ArtifactRef, EventOf, QaProfile } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { profileOf } from '../qa/profile.js';
import {
  asked,
  type Cascade,
  end,
  isActive,
  openCascade,
  reachUse,
  revalidated,
  settle,
  start,
  suspect,
  tainted,
  taintedElsewhere,
} from './cascade.js';
import { type Graph, openGraph } from './graph/index.js';
import { type Marks, openMarks } from './marks.js';
import { type Rollback, takeRollback } from './rollback.js';
import type { CascadeEvent } from './slim.js';
import { NONE, openVersions, type Versions } from './versions.js';

export interface TaskNote {
  readonly id: string;
  /** Offset of its `dats.task.created`. */
  readonly created: number;
  readonly parent?: string;
  readonly dependsOn: readonly string[];
  readonly inputs: readonly ArtifactRef[];
  readonly profile: QaProfile;
  readonly hasTests: boolean;
  state: 'open' | 'completed' | 'ended';
  /** Of the newest output; of what was accepted once it is completed. */
  attempt: number;
  /** Offset of that output. */
  output: number;
  /** Id of the verdict of that output. */
  verdict?: string;
  /** Which attempt was started last, and where. */
  started?: { readonly attempt: number; readonly node: string };
}

/** Tokens and time that an execution took, for forecasts. By offset of its output. */
export interface Spent {
  readonly model: string;
  readonly provider: string;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly modelMs: number;
}

export interface Project {
  readonly id: string;
  readonly graph: Graph;
  readonly marks: Marks;
  readonly versions: Versions;
  readonly tasks: Map<string, TaskNote>;
  readonly subtasks: Map<string, string[]>;
  readonly spent: Map<number, Spent>;
  readonly cascades: Map<string, Cascade>;
  readonly rollbacks: Map<string, Rollback>;
  /** Offset of each alert, by its id. */
  readonly alerts: Map<string, number>;
  /** Offset of each rejection of a task that was over, by the id of the event. */
  readonly rejections: Map<string, number>;
  /** Those that are not over. */
  readonly active: Set<Cascade>;
  readonly rolling: Set<Rollback>;
  /** [offset, config version] where it changed. */
  readonly configs: (readonly [number, string])[];
  readonly firstOffset: number;
  lastOffset: number;
  lastTime: string;
  /** Tainted artifacts, by index, that the event taken last made something from, and that no running cascade reaches. */
  lateUses: readonly number[];
}

const NO_LATE_USES: readonly number[] = [];

export const openProject = (id: string, firstOffset: number): Project => ({
  id,
  graph: openGraph(),
  marks: openMarks(),
  versions: openVersions(),
  tasks: new Map(),
  subtasks: new Map(),
  spent: new Map(),
  cascades: new Map(),
  rollbacks: new Map(),
  alerts: new Map(),
  rejections: new Map(),
  active: new Set(),
  rolling: new Set(),
  configs: [],
  firstOffset,
  lastOffset: -1,
  lastTime: '',
  lateUses: NO_LATE_USES,
});

/** Takes in an event that stands at `offset` (F4). */
export const take = (project: Project, event: CascadeEvent, offset: number): void => {
  if (offset <= project.lastOffset || Number.isNaN(millisOf(event.time))) return;
  project.lastOffset = offset;
  project.lastTime = event.time;
  project.lateUses = NO_LATE_USES;
  if (project.configs.at(-1)?.[1] !== event.configversion) project.configs.push([offset, event.configversion]);
  try {
    apply(project, event, offset);
  } catch {
    // F4.
  }
};

const apply = (project: Project, event: CascadeEvent, offset: number): void => {
  switch (event.type) {
    case 'dats.task.created':
      takeCreated(project, event, offset);
      break;
    case 'dats.task.started':
    case 'dats.task.output.created':
    case 'dats.task.validated':
    case 'dats.task.rejected':
    case 'dats.task.completed':
    case 'dats.task.failed':
    case 'dats.task.cancelled':
      takeTask(project, event, offset);
      break;
    case 'dats.cascade.requested':
    case 'dats.cascade.started':
    case 'dats.cascade.cancel.requested':
    case 'dats.cascade.completed':
      takeCascade(project, event, offset);
      break;
    case 'dats.artifact.tainted':
    case 'dats.artifact.suspect':
    case 'dats.artifact.revalidation.requested':
    case 'dats.artifact.revalidated':
      takeMark(project, event, offset);
      break;
    case 'dats.artifact.reverted':
    case 'dats.artifact.restored':
      takeVersion(project, event, offset);
      break;
    case 'dats.security.alert':
      if (!project.alerts.has(event.data.alert_id)) project.alerts.set(event.data.alert_id, offset);
      break;
  }
  for (const cascade of project.active) settle(cascade, project);
  takeRollback(project.rollbacks, project.rolling, event, offset, project);
};

/** What was decided for a version that stands no longer changes nothing that stands; taken back it is all the same. */
const takeVersion = (
  { graph, versions }: Project,
  event: EventOf<'dats.artifact.reverted' | 'dats.artifact.restored'>,
  offset: number,
): void => {
  const { path, artifact_id } = event.data;
  const index = graph.indexOf(artifact_id);
  if (index < 0) return;
  if (event.type === 'dats.artifact.reverted') {
    const to = event.data.to === undefined ? NONE : graph.indexOf(event.data.to);
    if (versions.head(path) === index) versions.revert(path, to, offset);
    else versions.takeBack(index);
  } else {
    const replaces = event.data.replaces === undefined ? NONE : graph.indexOf(event.data.replaces);
    if (versions.head(path) === replaces) versions.restore(path, index, offset);
  }
};

const takeCreated = (project: Project, event: EventOf<'dats.task.created'>, offset: number): void => {
  const { task_id, parent_id, depends_on, inputs, tests } = event.data;
  if (project.tasks.has(task_id)) return;
  project.tasks.set(task_id, {
    id: task_id,
    created: offset,
    ...(parent_id === undefined ? {} : { parent: parent_id }),
    dependsOn: depends_on,
    inputs,
    profile: profileOf(event.data),
    hasTests: tests !== undefined,
    state: 'open',
    attempt: 0,
    output: -1,
  });
  if (parent_id === undefined) return;
  const siblings = project.subtasks.get(parent_id);
  if (siblings) siblings.push(task_id);
  else project.subtasks.set(parent_id, [task_id]);
};

type TaskEvent = EventOf<
  | 'dats.task.started'
  | 'dats.task.output.created'
  | 'dats.task.validated'
  | 'dats.task.rejected'
  | 'dats.task.completed'
  | 'dats.task.failed'
  | 'dats.task.cancelled'
>;

const takeTask = (project: Project, event: TaskEvent, offset: number): void => {
  const task = project.tasks.get(event.data.task_id);
  if (task === undefined) return;
  switch (event.type) {
    case 'dats.task.started':
      if (task.state === 'open') task.started = { attempt: event.data.attempt, node: event.data.node };
      return;
    case 'dats.task.output.created':
      return takeOutput(project, task, event, offset);
    case 'dats.task.validated':
    case 'dats.task.rejected':
      if (task.state === 'open' && event.data.attempt === task.attempt) task.verdict = event.id;
      else if (task.state !== 'open' && event.type === 'dats.task.rejected' && !project.rejections.has(event.id))
        project.rejections.set(event.id, offset);
      return;
    case 'dats.task.completed':
      if (task.state !== 'open') return;
      task.state = 'completed';
      for (const index of project.graph.madeBy(task.id)) {
        const fact = project.graph.factAt(index)!;
        if (fact.offset === task.output) project.versions.accept(fact.path, index, offset);
      }
      return;
    case 'dats.task.failed':
    case 'dats.task.cancelled':
      if (task.state === 'open') task.state = 'ended';
  }
};

const takeOutput = (project: Project, task: TaskNote, event: EventOf<'dats.task.output.created'>, offset: number): void => {
  const { data } = event;
  const consumed = data.consumed.map(({ artifact_id }) => artifact_id);
  const fact = {
    task_id: data.task_id,
    attempt: data.attempt,
    model: data.model,
    model_digest: data.model_digest ?? '',
    prompt_version: data.prompt_version,
    node: task.started?.attempt === data.attempt ? task.started.node : '',
    config_version: event.configversion,
    offset,
    time_ms: millisOf(event.time),
  };
  const made: number[] = [];
  for (const { artifact_id, path, sha256 } of data.artifacts) {
    // The same output recorded twice: the first one counts.
    if (project.graph.factAt(project.graph.indexOf(artifact_id)) !== undefined) continue;
    made.push(project.graph.add({ ...fact, artifact_id, path, sha256 }, consumed));
  }
  if (made.length === 0) return;
  // What comes late of an earlier attempt is nobody's output.
  if (task.state === 'open' && data.attempt > task.attempt) {
    task.attempt = data.attempt;
    task.output = offset;
  }
  project.spent.set(offset, {
    model: data.model,
    provider: data.provider,
    tokensIn: data.tokens_in,
    tokensOut: data.tokens_out,
    modelMs: data.duration_ms,
  });
  for (const id of consumed) used(project, project.graph.indexOf(id), made);
};

/** Something was made from an artifact that may be tainted. */
const used = (project: Project, index: number, made: readonly number[]): void => {
  if (project.marks.of(index) !== 'tainted') return;
  let joined = false;
  for (const cascade of project.active) {
    if (cascade.state === 'cancelling' || cascade.marks.get(index)?.state !== 'tainted') continue;
    joined = true;
    for (const child of made) reachUse(cascade, index, child, project);
    settle(cascade, project);
  }
  if (!joined) project.lateUses = [...project.lateUses, index];
};

type CascadeLife = EventOf<'dats.cascade.requested' | 'dats.cascade.started' | 'dats.cascade.cancel.requested' | 'dats.cascade.completed'>;

const takeCascade = (project: Project, event: CascadeLife, offset: number): void => {
  let cascade = project.cascades.get(event.data.cascade_id);
  if (cascade === undefined) {
    if (event.type !== 'dats.cascade.requested' && event.type !== 'dats.cascade.started') return;
    cascade = openCascade(event, offset);
    project.cascades.set(cascade.id, cascade);
    project.active.add(cascade);
  }
  if (!isActive(cascade)) return;
  cascade.lastOffset = offset;
  if (event.type === 'dats.cascade.started') start(cascade, event, project, project.active);
  else if (event.type === 'dats.cascade.cancel.requested') cascade.state = 'cancelling';
  else if (event.type === 'dats.cascade.completed') {
    end(cascade, event);
    project.active.delete(cascade);
  }
};

type MarkEvent = EventOf<
  'dats.artifact.tainted' | 'dats.artifact.suspect' | 'dats.artifact.revalidation.requested' | 'dats.artifact.revalidated'
>;

const takeMark = (project: Project, event: MarkEvent, offset: number): void => {
  const cascade = project.cascades.get(event.data.cascade_id);
  const index = project.graph.indexOf(event.data.artifact_id);
  if (cascade === undefined || index < 0) return;
  if (isActive(cascade)) cascade.lastOffset = offset;
  switch (event.type) {
    case 'dats.artifact.tainted':
      project.marks.taint(index, cascade.id);
      tainted(cascade, index, event, project);
      for (const other of project.active) if (other !== cascade) taintedElsewhere(other, index, project);
      return;
    case 'dats.artifact.suspect':
      project.marks.suspect(index, cascade.id);
      return suspect(cascade, index, event, project);
    case 'dats.artifact.revalidation.requested':
      return asked(cascade, index, millisOf(event.data.due), new Set(event.data.without.map((id) => project.graph.indexOf(id))));
    case 'dats.artifact.revalidated':
      if (revalidated(cascade, index, event, project)) project.marks.clear(index, cascade.id);
  }
};

/** The configuration under which the last event below `offset` was said. */
export const configBefore = (project: Project, offset: number): string | undefined => {
  let found: string | undefined;
  for (const [at, version] of project.configs) {
    if (at >= offset) break;
    found = version;
  }
  return found;
};
