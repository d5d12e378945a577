// From event to record and back.
import { type DatsEvent, decode, encode, type Topic } from '../schemas/index.js';
import type { Outgoing, Recorded } from './log.js';

/** The record that carries `event`; `key` defaults to its project. */
export const outgoing = (topic: Topic, event: DatsEvent, key: string = event.projectid): Outgoing => {
  const { headers, value } = encode(event);
  return { topic, key, headers, value, event };
};

/**
 * The event of a record.
 * @throws Fault terminal when the record holds none (see `decode`).
 */
export const eventOf = (record: Pick<Recorded, 'headers' | 'value' | 'event'>): DatsEvent =>
  record.event ?? decode(record.headers, record.value);
