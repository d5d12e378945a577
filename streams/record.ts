// From event to record and back.
import { attributesOf, type DatsEvent, decode, isFault, LINKED_FROM, type Topic } from '../schemas/index.js';
import type { Outgoing, Recorded } from './log.js';

/** A record made from an event. Its headers are the event's attributes, put together only when somebody asks for them as such. */
export class EventRecord implements Outgoing {
  readonly topic: Topic;
  readonly key: string;
  readonly value: string;
  readonly event: DatsEvent;

  constructor(topic: Topic, key: string, event: DatsEvent) {
    this.topic = topic;
    this.key = key;
    this.value = JSON.stringify(event.data);
    this.event = event;
  }

  get headers(): Readonly<Record<string, string>> {
    return attributesOf(this.event);
  }
}

/** The record that carries `event`; `key` defaults to its project. */
export const outgoing = (topic: Topic, event: DatsEvent, key: string = event.projectid): Outgoing => new EventRecord(topic, key, event);

/**
 * The event of a record.
 * @throws Fault terminal when the record holds none (see `decode`).
 */
export const eventOf = (record: Pick<Recorded, 'headers' | 'value' | 'event'>): DatsEvent =>
  record.event ?? decode(record.headers, record.value);

/** Is it the copy of a record that another node said? What this process appended as an event never is. */
export const isCopy = (record: Pick<Recorded, 'headers' | 'event'>): boolean =>
  record.event === undefined && record.headers[LINKED_FROM] !== undefined;

/** The event of a record; undefined where it holds none: such a record is a dead letter, and folds pass over it. */
export const readableEventOf = (record: Pick<Recorded, 'headers' | 'value' | 'event'>): DatsEvent | undefined => {
  try {
    return eventOf(record);
  } catch (error) {
    if (isFault(error, 'terminal')) return undefined;
    throw error;
  }
};
