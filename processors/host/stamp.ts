// From draft to event: what the host adds.
import { type DatsEvent, dataschemaOf, newId } from '../../schemas/index.js';
import type { Draft } from '../draft.js';

export interface Stamp {
  readonly source: string;
  readonly actor: string;
  readonly configversion: string;
  /** RFC 3339. */
  readonly time: string;
  /** What caused it; absent for a timer, then the draft brings its chain. */
  readonly cause?: DatsEvent;
  readonly afteroffset?: number;
}

/** The event of a draft. Optional attributes are absent where they have no value. */
export const stamp = (draft: Draft, by: Stamp): DatsEvent => {
  const chain = draft.chain ?? by.cause;
  if (!chain) throw new Error(`a ${draft.type} without a cause must bring its chain`);
  const event: Record<string, unknown> = {
    specversion: '1.0',
    id: draft.id ?? newId(),
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
  if (by.cause) event['causationid'] = by.cause.id;
  if (chain.traceparent !== undefined) event['traceparent'] = chain.traceparent;
  if (by.afteroffset !== undefined) event['afteroffset'] = String(by.afteroffset);
  return event as unknown as DatsEvent;
};
