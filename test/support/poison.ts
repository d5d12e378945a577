// Records that no event decodes, as a foreign producer writes them: by the code of the dead letter that each must become.
import { dataschemaOf, newId } from '../../schemas/index.js';
import type { ForeignRecord } from './foreign-client.js';

/** The attributes of an event in the Kafka binding of CloudEvents, binary mode. */
const headersOf = (type: string, project: string, change: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => ({
  ce_specversion: '1.0',
  ce_id: newId(),
  ce_source: '/elsewhere',
  ce_type: type,
  ce_time: new Date().toISOString(),
  ce_subject: 'poison',
  'content-type': 'application/json',
  ce_dataschema: `urn:dats:${type.slice('dats.'.length)}:1`,
  ce_projectid: project,
  ce_correlationid: newId(),
  ce_actor: 'foreign',
  ce_configversion: 'foreign',
  'x-foreign': 'of its own',
  ...change,
});

/** @param type an event that its topic takes. */
export const poisonFor = (type: 'dats.task.created' | 'dats.work.requested', project: string): Readonly<Record<string, ForeignRecord>> => {
  const record = (headers: Readonly<Record<string, string>>, value: string | Buffer): ForeignRecord => ({
    key: Buffer.from(project),
    headers,
    value: Buffer.from(value),
  });
  return {
    not_an_event: record({}, Buffer.from([0, 255, 254, 1])),
    not_json: record(headersOf(type, project), '{"task_id": '),
    bad_event: record(headersOf(type, project), '{"task_id": 7}'),
    unknown_version: record(headersOf(type, project, { ce_dataschema: dataschemaOf(type).replace(/\d+$/, '99') }), '{}'),
    unknown_type: record(headersOf('dats.task.exploded', project), '{"task_id": "x"}'),
  };
};
