// Events of settings for tests.
import {
  CONFIG,
  CONFIG_LOG_KEY,
  type ConfigChanged,
  dataschemaOf,
  type EventOf,
  newId,
  type Servers,
  serversSchema,
} from '../../../schemas/index.js';
import { type Log, outgoing } from '../../../streams/index.js';
import type { Base } from '../effective.js';

export const changeEvent = (data: ConfigChanged, id: string = newId()): EventOf<'dats.config.changed'> => ({
  specversion: '1.0',
  id,
  source: '/gateway',
  type: 'dats.config.changed',
  time: '2026-11-27T09:00:00.000Z',
  subject: data.key,
  datacontenttype: 'application/json',
  dataschema: dataschemaOf('dats.config.changed'),
  projectid: 'default',
  correlationid: 'c',
  actor: data.by,
  configversion: 'd1',
  data,
});

/** Version `version` of a key, made from the one before it. */
export const versionOfKey = (key: string, version: number, value: ConfigChanged['value']): ConfigChanged => ({
  key,
  version,
  replaces: version - 1,
  value,
  by: 'test',
});

export const appendChange = async (log: Pick<Log, 'append'>, data: ConfigChanged): Promise<string> => {
  const event = changeEvent(data);
  await log.append([outgoing(CONFIG, event, CONFIG_LOG_KEY)]);
  return event.id;
};

export const SERVERS: Servers = serversSchema.parse({ version: 1 });
export const BASE: Base = { digest: 'd1', servers: SERVERS, prompts: { generate: 'write', analyse: 'say', decompose: 'split' } };
