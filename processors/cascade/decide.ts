// What follows from events and from the state of a project: cascades and rollbacks begin, go on in bounded steps, and end. Pure.
//
// D1. Everything said here has an id derived from what it is about: said twice, it is one event more that changes nothing. D2. A step is bounded; the rest is for the
// next one, when what this one said has come back from the log. D3. Time comes in.
import { type CascadeLimits, derivedId, type EventOf, type Selector } from '../../schemas/index.js';
import { type Draft, say } from '../draft.js';
import { type Cascade, selected } from './cascade.js';
import { cascadeStep, nextCascadeStep } from './cascade-step.js';
import type { Left } from './moves.js';
import { beginsCascade, type CascadePolicy, limitsOf } from './policy.js';
import type { Project } from './project.js';
import type { Rollback } from './rollback.js';
import { type Asked, nextRollbackStep, rollbackStep } from './rollback-step.js';
import type { CascadeEvent } from './slim.js';

/** The id of the cascade that something begins by itself. */
export const cascadeIdOf = (causeId: string): string => derivedId(causeId, 'cascade');

/** What follows from an event that `project` has just taken in; or earlier, and nobody decided on it: then with what it used late. */
export const decide = (project: Project, event: CascadeEvent, policy: CascadePolicy, lateUses = project.lateUses): readonly Draft[] => {
  switch (event.type) {
    case 'dats.cascade.requested':
      return onRequested(project, event);
    case 'dats.security.alert': {
      const { alert_id, severity, kind, detail, artifact_id, task_id, by } = event.data;
      if (!beginsCascade(policy, severity)) return [];
      const selector: Selector = artifact_id === undefined ? { task_id: task_id! } : { artifact_id };
      return starting(project, {
        cascade_id: cascadeIdOf(alert_id),
        trigger: 'security_alert',
        selector,
        reason: `${kind}: ${detail}`.slice(0, 1_000),
        by,
        limits: limitsOf(policy),
      });
    }
    case 'dats.task.rejected':
      return onRejected(project, event, policy);
    case 'dats.task.output.created':
      return lateUses.flatMap((used) => {
        const artifact_id = project.graph.idOf(used);
        return starting(project, {
          cascade_id: derivedId(artifact_id, event.id, 'late use'),
          trigger: 'late_use',
          selector: { artifact_id },
          reason: 'something was made from it after it had been tainted',
          by: 'cascade',
          limits: limitsOf(policy),
        });
      });
    default:
      return [];
  }
};

/** A rejection after the end, of what was accepted; that a verdict was recorded twice is none. */
const onRejected = (project: Project, event: EventOf<'dats.task.rejected'>, policy: CascadePolicy): readonly Draft[] => {
  const { task_id, attempt, reasons } = event.data;
  const task = project.tasks.get(task_id);
  if (!policy.on_late_rejection || task?.state !== 'completed' || task.attempt !== attempt || task.verdict === event.id) return [];
  return starting(project, {
    cascade_id: cascadeIdOf(event.id),
    trigger: 'late_rejection',
    selector: { task_id },
    reason: `rejected after it was accepted: ${reasons[0]}`.slice(0, 1_000),
    by: event.actor,
    limits: limitsOf(policy),
  });
};

interface Beginning {
  readonly cascade_id: string;
  readonly recall_id?: string | undefined;
  readonly trigger: Cascade['trigger'];
  readonly selector: Selector;
  readonly reason: string;
  readonly by: string;
  readonly limits: CascadeLimits;
}

/** What follows from what was left to this node when the project came: of what is said under one id, the first. */
export const decideLeft = (project: Project, left: readonly Left[], policy: CascadePolicy): readonly Draft[] => {
  const said = new Set<string | undefined>();
  return left
    .flatMap(({ event, lateUses }) =>
      event.type === 'dats.cascade.requested' ? starting(project, event.data) : decide(project, event, policy, lateUses),
    )
    .filter(({ id }) => !said.has(id) && said.add(id));
};

/** Nothing is under way that was asked for below `end`. */
export const isQuiet = (project: Project | undefined, end: number): boolean =>
  project === undefined || ![...project.active, ...project.rolling].some(({ firstOffset }) => firstOffset < end);

/** Only the first request of an id is answered. */
const onRequested = (project: Project, event: EventOf<'dats.cascade.requested'>): readonly Draft[] =>
  project.cascades.get(event.data.cascade_id)?.firstOffset === project.lastOffset ? starting(project, event.data) : [];

const starting = (project: Project, beginning: Beginning): readonly Draft[] => {
  const known = project.cascades.get(beginning.cascade_id);
  if (known !== undefined && known.state !== 'requested') return [];
  const roots = selected(project, beginning.selector);
  const { nodes, depth } = project.graph.closure(roots, {
    maxDepth: beginning.limits.max_depth,
    maxArtifacts: beginning.limits.max_artifacts,
  });
  const tasks = new Set<number>();
  for (const index of nodes) if (project.graph.has(index)) tasks.add(project.graph.taskAt(index));
  const id = beginning.cascade_id;
  const { recall_id, ...begun } = beginning;
  const reach = { artifacts: nodes.length, tasks: tasks.size, depth };
  const data = { ...begun, ...(recall_id === undefined ? {} : { recall_id }), roots: roots.length, reach };
  return [say('dats.cascade.started', id, data, derivedId(id, 'started'))];
};

/** The oldest one that was asked for below `end`. */
const rollingOf = ({ rolling }: Project, end: number): Rollback | undefined => {
  const [rollback] = rolling;
  return rollback !== undefined && rollback.firstOffset < end ? rollback : undefined;
};

/** Goes on with what is under way in a project: all cascades, and the oldest rollback. @param end what was asked for from there on is not begun */
export const step = (
  project: Project,
  now: number,
  policy: CascadePolicy,
  asked: Asked,
  end = Number.POSITIVE_INFINITY,
): readonly Draft[] => {
  const taken = new Set<number>();
  const rollback = rollingOf(project, end);
  return [
    ...[...project.active].flatMap((cascade) => cascadeStep(project, cascade, now, policy, taken)),
    ...(rollback === undefined ? [] : rollbackStep(project, rollback, now, asked)),
  ];
};

/** When `step` has something to say without a new event, milliseconds since the epoch; undefined: not before one comes. */
export const nextStep = (project: Project, now: number, asked: Asked, end = Number.POSITIVE_INFINITY): number | undefined => {
  const rollback = rollingOf(project, end);
  let next = rollback === undefined ? undefined : nextRollbackStep(project, rollback, now, asked);
  for (const cascade of project.active) {
    const due = nextCascadeStep(cascade, now);
    if (due !== undefined && (next === undefined || due < next)) next = due;
  }
  return next;
};
