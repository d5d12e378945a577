// From draft to event: what the host adds.
import { type DatsEvent, dataschemaOf, type Envelope, NO_PROJECT, newId } from '../../schemas/index.js';
import type { Draft } from '../draft.js';

export interface Stamp {
  readonly source: string;
  readonly actor: string;
  readonly configversion: string;
  /** RFC 3339. */
  readonly time: string;
  /** What caused it; absent for a timer, then the draft brings its chain. */
  readonly cause?: DatsEvent | undefined;
  readonly afteroffset?: number | undefined;
}

type Writable = { -readonly [K in keyof Envelope]: Envelope[K] };

/** The event of a draft. Optional attributes are absent where they have no value. */
export const stamp = (draft: Draft, by: Stamp, id: string = draft.id ?? newId()): DatsEvent => {
  const { cause, afteroffset } = by;
  const chain = draft.chain ?? cause;
  if (!chain) throw new Error(`a ${draft.type} without a cause must bring its chain`);
  const event: Writable = {
    specversion: '1.0',
    id,
    source: by.source,
    type: draft.type,
    time: by.time,
    subject: draft.subject,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(draft.type),
    projectid: chain.projectid,
    correlationid: chain.correlationid,
    actor: by.actor,
    configversion: by.configversion,
    data: draft.data,
  };
  if (cause !== undefined) event.causationid = cause.id;
  if (chain.traceparent !== undefined) event.traceparent = chain.traceparent;
  if (afteroffset !== undefined) event.afteroffset = String(afteroffset);
  return event as DatsEvent;
};

/** The event of what a node says of itself or of another one: nothing led to it, and it is of no project. */
export const stampAlone = (draft: Draft, by: Stamp): DatsEvent =>
  stamp({ ...draft, chain: { projectid: NO_PROJECT, correlationid: newId() } }, by);
