// What cascades are folded from: the events that say how artifacts came to be and what became of them, without their contents.
//
// S1. A slim event fits the schema of its type. S2. Folding slim events gives the same as folding whole ones: nothing that is left out is looked at.
import type { Content, DatsEvent, EventOf, EventType } from '../../schemas/index.js';

export const CASCADE_TYPES = [
  'dats.task.created',
  'dats.task.started',
  'dats.task.output.created',
  'dats.task.validated',
  'dats.task.rejected',
  'dats.task.attempt.failed',
  'dats.task.cancel.requested',
  'dats.task.completed',
  'dats.task.failed',
  'dats.task.cancelled',
  'dats.cascade.requested',
  'dats.cascade.started',
  'dats.cascade.cancel.requested',
  'dats.cascade.completed',
  'dats.artifact.tainted',
  'dats.artifact.suspect',
  'dats.artifact.revalidation.requested',
  'dats.artifact.revalidated',
  'dats.artifact.reverted',
  'dats.artifact.restored',
  'dats.rollback.requested',
  'dats.rollback.started',
  'dats.rollback.completed',
  'dats.security.alert',
  'dats.project.move.started',
  'dats.project.released',
  'dats.project.moved',
  'dats.project.arrived',
] as const satisfies readonly EventType[];
export type CascadeEvent = EventOf<(typeof CASCADE_TYPES)[number]>;

const TYPES: ReadonlySet<string> = new Set(CASCADE_TYPES);
export const concernsCascades = (type: string): boolean => TYPES.has(type);
export const isCascadeEvent = (event: DatsEvent): event is CascadeEvent => TYPES.has(event.type);

const bare = ({ sha256, bytes }: Content): Content => ({ sha256, bytes });

/** The event without texts: what a snapshot keeps. */
export const slim = (event: CascadeEvent): CascadeEvent => {
  switch (event.type) {
    case 'dats.task.created': {
      const { data } = event;
      const tests = data.tests === undefined ? {} : { tests: { language: data.tests.language, code: bare(data.tests.code) } };
      const { options, priority, task_id, parent_id, depends_on, inputs, submitted_by, redo } = data;
      const kept = {
        task_id,
        description: bare(data.description),
        priority,
        options,
        depends_on,
        inputs,
        files: [],
        submitted_by,
        ...tests,
      };
      return {
        ...event,
        data: { ...kept, ...(parent_id === undefined ? {} : { parent_id }), ...(redo === undefined ? {} : { redo }) },
      };
    }
    case 'dats.task.output.created': {
      const artifacts = event.data.artifacts.map(({ content: _, dataref: __, ...rest }) => rest);
      return { ...event, data: { ...event.data, artifacts, omitted: [] } };
    }
    case 'dats.task.validated':
      return { ...event, data: { ...event.data, checks: [] } };
    case 'dats.task.rejected':
      return { ...event, data: { ...event.data, checks: [], reasons: event.data.reasons.map((reason) => reason.slice(0, 200)) } };
    case 'dats.artifact.revalidated':
      return { ...event, data: { ...event.data, checks: [] } };
    default:
      return event;
  }
};
