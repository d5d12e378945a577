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
  readonly cause?: DatsEvent | undefined;
  readonly afteroffset?: number | undefined;
}

/**
 * The event of a draft. Optional attributes are absent where they have no value. Whole literals for the two usual sets of attributes,
 * since an object that grows costs several times as much.
 */
export const stamp = (draft: Draft, by: Stamp, id: string = draft.id ?? newId()): DatsEvent => {
  const { cause, afteroffset } = by;
  const chain = draft.chain ?? cause;
  if (!chain) throw new Error(`a ${draft.type} without a cause must bring its chain`);
  const { traceparent } = chain;
  if (cause !== undefined && traceparent !== undefined) {
    return (
      afteroffset === undefined
        ? {
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
            causationid: cause.id,
            traceparent,
          }
        : {
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
            causationid: cause.id,
            traceparent,
            afteroffset: String(afteroffset),
          }
    ) as DatsEvent;
  }
  const event: Record<string, unknown> = {
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
  if (cause) event['causationid'] = cause.id;
  if (traceparent !== undefined) event['traceparent'] = traceparent;
  if (afteroffset !== undefined) event['afteroffset'] = String(afteroffset);
  return event as unknown as DatsEvent;
};
