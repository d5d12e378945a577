// What a request says that is no submission, as an event.
import { isoOf } from '../processors/index.js';
import { type DataOf, type DatsEvent, dataschemaOf, type EventType } from '../schemas/index.js';
import { type Requester, SOURCE } from './commands.js';
import { traceparentOf } from './middleware/correlation.js';
import type { Services } from './services.js';

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
