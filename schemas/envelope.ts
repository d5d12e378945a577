// The envelope of every event: CloudEvents 1.0 attributes (plus its correlation and tracing extensions) around `data`.
//
// E1. An event is never changed after it was appended. E2. `projectid` is the partition key of the lifecycle topic.
// E3. A type's data never changes in place: a new shape gets a new version in `dataschema`, and old events still decode.
import { z } from 'zod';
import { TRACEPARENT } from './ids.js';

/** What belongs to no project, such as settings and nodes: the envelope wants one. */
export const NO_PROJECT = 'default';

export const attributesSchema = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(64),
  /** Who emitted it: `/gateway`, `/deciders/core`, `/effects/generation`. */
  source: z.string().min(1).max(256),
  type: z.string().min(1).max(128),
  /** When it happened, RFC 3339 UTC. */
  time: z.string().min(20).max(40),
  /** The task or artifact it is about. */
  subject: z.string().min(1).max(256),
  datacontenttype: z.literal('application/json'),
  /** `urn:dats:<domain>.<event>:<version>` */
  dataschema: z.string().min(1).max(128),
  projectid: z.string().min(1).max(128),
  /** The request that began it, end to end. */
  correlationid: z.string().min(1).max(128),
  /** The id of the event that caused this one; absent on the first of a chain. */
  causationid: z.string().min(1).max(64).optional(),
  traceparent: z.string().regex(TRACEPARENT).optional(),
  /** The user, processor or node behind it. */
  actor: z.string().min(1).max(128),
  /** The configuration it was decided under. */
  configversion: z.string().min(1).max(64),
  /**
   * On a decider's event: the offset of the last record of this partition that the decider had read when it decided.
   * Folding a partition by (`afteroffset`, offset) gives exactly the order in which the decider folded it.
   */
  afteroffset: z
    .string()
    .regex(/^-?\d{1,15}$/)
    .optional(),
});

export type Attributes = z.infer<typeof attributesSchema>;

/** An event as code sees it: attributes and typed data. Optional attributes are absent, never undefined. */
export type Envelope<T extends string = string, D = unknown> = Omit<Attributes, 'type'> & { readonly type: T; readonly data: D };
