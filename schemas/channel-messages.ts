// Which event types go together on the topics of channels.ts, by who says them.
import { BUDGET_ANSWERS, type EventType } from './registry.js';
import { WORK_TOPICS, workTopic } from './topics.js';

export const REQUESTED = [
  'dats.task.created',
  'dats.task.cancel.requested',
  'dats.task.rejected',
  'dats.cascade.requested',
  'dats.cascade.cancel.requested',
  'dats.rollback.requested',
  'dats.security.alert',
  'dats.replay.requested',
] as const satisfies readonly EventType[];
export const DECIDED = [
  'dats.task.created',
  'dats.task.analyzed',
  'dats.task.queued',
  'dats.task.ready',
  'dats.task.attempt.failed',
  'dats.task.validated',
  'dats.task.retry.scheduled',
  'dats.task.timedout',
  'dats.task.cancelled',
  'dats.task.completed',
  'dats.task.failed',
  'dats.quota.blocked',
] as const satisfies readonly EventType[];
/** What the ledger is told: by deciders for attempts, by whoever asks a model otherwise. */
export const SPENT = ['dats.quota.requested', 'dats.quota.consumed'] as const satisfies readonly EventType[];
/** What comes of it that something was bad, or is taken back. */
export const MARKED = [
  'dats.cascade.started',
  'dats.cascade.progressed',
  'dats.cascade.completed',
  'dats.artifact.tainted',
  'dats.artifact.suspect',
  'dats.artifact.revalidation.requested',
  'dats.artifact.revalidated',
  'dats.artifact.reverted',
  'dats.artifact.restored',
  'dats.rollback.started',
  'dats.rollback.completed',
  'dats.task.cancel.requested',
] as const satisfies readonly EventType[];
export const WORKED = [
  'dats.task.created',
  'dats.task.analyzed',
  'dats.task.decomposed',
  'dats.task.started',
  'dats.task.output.created',
  'dats.task.attempt.failed',
  'dats.task.validated',
  'dats.task.rejected',
  'dats.artifact.revalidated',
  'dats.replay.progressed',
  'dats.replay.completed',
  'dats.replay.failed',
] as const satisfies readonly EventType[];
/** What is said of a project that goes from one node to another: only where there are several. */
export const HANDED_OVER = [
  'dats.project.move.started',
  'dats.project.released',
  'dats.project.moved',
  'dats.project.arrived',
] as const satisfies readonly EventType[];
export const MOVES = ['dats.project.move.requested', ...HANDED_OVER] as const satisfies readonly EventType[];
/** What is asked of a node. */
export const NODE_COMMANDS = ['dats.node.cordoned', 'dats.node.uncordoned'] as const satisfies readonly EventType[];
export const LIFECYCLE_TYPES = [...new Set<EventType>([...REQUESTED, ...DECIDED, ...MARKED, ...WORKED, ...BUDGET_ANSWERS, ...MOVES])];
export const TELEMETRY_TYPES = ['dats.model.called', 'dats.ops.alert', 'dats.node.sampled'] as const satisfies readonly EventType[];
/** What the decider of cascades and rollbacks sees of tasks: what was made from what, and how it ended. */
export const TRACED = [
  'dats.task.created',
  'dats.task.started',
  'dats.task.output.created',
  'dats.task.attempt.failed',
  'dats.task.validated',
  'dats.task.rejected',
  'dats.task.completed',
  'dats.task.failed',
  'dats.task.cancelled',
  'dats.task.cancel.requested',
] as const satisfies readonly EventType[];
/** Replays are asked for by people alone. */
export const DECIDED_WORK = WORK_TOPICS.filter((topic) => topic !== workTopic('replay'));
export const MARKING = /^dats\.(cascade|artifact|rollback|security)\.(?!progressed$)/;
