// What requests say about cascades, as events; and one request at a time under a key.
import { isoOf } from '../../processors/index.js';
import { type DataOf, type DatsEvent, dataschemaOf, derivedId, type EventType, newId } from '../../schemas/index.js';
import { type Requester, SOURCE } from '../commands.js';
import { traceparentOf } from '../middleware/correlation.js';
import { refuse } from '../problem.js';
import type { Services } from '../services.js';

export interface Saying {
  readonly projectId: string;
  readonly by: string;
  readonly eventId: string;
  readonly requester: Requester;
}

export const saidEvent = <T extends EventType>(
  { deps }: Pick<Services, 'deps'>,
  type: T,
  subject: string,
  data: DataOf<T>,
  { projectId, by, eventId, requester }: Saying,
): DatsEvent =>
  ({
    specversion: '1.0',
    id: eventId,
    source: SOURCE,
    type,
    time: isoOf(deps.now()),
    subject,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: projectId,
    correlationid: requester.correlationId,
    traceparent: traceparentOf(requester.traceparent, eventId),
    actor: by,
    configversion: deps.settings.current().version,
    data,
  }) as unknown as DatsEvent;

export const KEY_HEADER = {
  'Idempotency-Key':
    '1 to 255 printable ASCII characters, quoted or not. Repeated with the same body it begins nothing anew. Scope: what is asked for, its project and `by`.',
  traceparent: 'W3C trace context to join.',
} as const;

/** The same for the same key and scope, else new. */
export const requestIdOf = (key: string | undefined, ...scope: readonly string[]): string =>
  key === undefined ? newId() : derivedId(...scope, key);

export const reused = () =>
  refuse('idempotency_key_reused', 'this Idempotency-Key was used before with another body; use a new key for another request');

/** Runs `work` when all that was begun under the same id is over. */
export type InTurn = <T>(id: string, work: () => Promise<T>) => Promise<T>;

export const createTurns = (): InTurn => {
  const last = new Map<string, Promise<unknown>>();
  return (id, work) => {
    const before = last.get(id);
    const mine = before === undefined ? work() : before.then(work, work);
    last.set(id, mine);
    const done = () => {
      if (last.get(id) === mine) last.delete(id);
    };
    mine.then(done, done);
    return mine;
  };
};
