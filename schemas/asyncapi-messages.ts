// The messages of the AsyncAPI document: every event version, dead letters, and what their Kafka headers are.
//
// A1. Headers follow the CloudEvents Kafka binding in binary mode: `ce_` and the attribute's name, but `content-type` for `datacontenttype`.
// A2. A payload is the JSON Schema that `dats schemas` prints, without `$id` and `$schema`: AsyncAPI reads it as draft 07, and only keywords that mean the
// same there occur (tested), once tuples are in draft 07's words. A3. Keys of schemas are sorted, so that the order of lines in a source never shows.
import { eventTypesOn, type Letter } from './channels.js';
import { LETTER, LETTER_MEANINGS } from './dead-letter.js';
import { EXAMPLES } from './examples.js';
import { envelopeSchema, eventSchemas, inDraft07 } from './json-schema.js';
import { EVENTS, type EventType } from './registry.js';
import { CONFIG, CONFIG_LOG_KEY, LEDGER_KEY, LINK, NODES, QUOTA, TELEMETRY } from './topics.js';

export type Json = { readonly [key: string]: unknown };

export const KAFKA_BINDING_VERSION = '0.5.0';

const SUMMARIES: Readonly<Record<EventType, string>> = {
  'dats.task.created': 'A task was submitted, or planned as a subtask of another',
  'dats.task.analyzed': 'It is known what kind of task it is, how hard, and which tier is to try it first',
  'dats.task.decomposed': 'It was split into subtasks',
  'dats.task.queued': 'It has to wait: for a free place in its project, for the tasks it depends on, or for its budget',
  'dats.task.ready': 'An attempt may begin',
  'dats.task.started': 'A worker took up the attempt',
  'dats.task.output.created': 'The attempt gave artifacts; they are not checked yet',
  'dats.task.attempt.failed': 'The attempt, or the analysis before it, ended without a result to judge',
  'dats.task.validated': 'The output passed its checks',
  'dats.task.rejected': 'The output did not pass its checks, and why',
  'dats.task.retry.scheduled': 'Another attempt is due, perhaps on a higher tier',
  'dats.task.timedout': 'The attempt ran out of time',
  'dats.task.cancel.requested': 'Somebody wants the task to end; whether it still could is said by the event that ends it',
  'dats.task.cancelled': 'The end of a task: cancelled',
  'dats.task.completed': 'The end of a task: done',
  'dats.task.failed': 'The end of a task: given up',
  'dats.cascade.requested': 'Somebody says that artifacts are bad: what was built on them is to be found',
  'dats.cascade.started': 'It is known which artifacts are meant, and how far it may reach',
  'dats.cascade.progressed': 'How far a cascade is',
  'dats.cascade.cancel.requested': 'Somebody wants a cascade to stop; what it marked stays marked',
  'dats.cascade.completed': 'The end of a cascade',
  'dats.artifact.tainted': 'An artifact is bad',
  'dats.artifact.suspect': 'An artifact was made with something bad; whether it is bad itself is not known yet',
  'dats.artifact.revalidation.requested': 'A suspect is to be checked again, without what is bad',
  'dats.artifact.revalidated': 'What the check of a suspect said',
  'dats.artifact.reverted': 'The version of a path goes back',
  'dats.artifact.restored': 'A version that had been taken back stands again',
  'dats.rollback.requested': 'Somebody wants files of a project to stand as they stood',
  'dats.rollback.started': 'It is known which paths and tasks are concerned',
  'dats.rollback.completed': 'The end of a rollback',
  'dats.security.alert': 'An artifact or a task is dangerous',
  'dats.replay.requested': 'History is to be decided again with something changed, in a shadow',
  'dats.replay.progressed': 'How far a replay is',
  'dats.replay.completed': 'The end of a replay, and its report',
  'dats.replay.failed': 'The end of a replay that could not be made',
  'dats.audit.checkpoint': 'A signed checkpoint of the Merkle tree over a project',
  'dats.config.changed': 'Somebody wants a setting to be changed; it counts where the setting is still the version that it replaces',
  'dats.quota.requested': 'Tokens and cost are to be set aside, before a model is asked',
  'dats.quota.reserved': 'They are set aside',
  'dats.quota.blocked': 'They are not: a budget is used up, or a rate or concurrency is reached for now',
  'dats.quota.consumed': 'What was used of a reservation in the end, which it takes the place of',
  'dats.quota.reset': 'An account begins anew',
  'dats.node.created': 'The store of a node begins',
  'dats.node.joined': 'A node asks the core to be taken in, and says what it can do',
  'dats.node.registered': 'A node came, or came back, perhaps with another store',
  'dats.node.lost': 'Nothing was heard of a node for three beats',
  'dats.node.returned': 'A node that was lost is heard of again',
  'dats.node.cordoned': 'A node is to take no new work',
  'dats.node.uncordoned': 'A node takes new work again',
  'dats.node.drained': 'Nothing runs on a node any more, and the core has everything: it can be stopped',
  'dats.project.move.requested': 'A project is to be decided on another node',
  'dats.project.move.started': 'The home of a project begins nothing more of it, and lets what runs end',
  'dats.project.released': 'No cascade or rollback of a project that is to move is under way any more',
  'dats.project.moved': 'The last word of the home of a project: from here on another node decides it',
  'dats.project.arrived': 'The first word of the new home of a project',
  'dats.link.batch': 'What another node sent of its log',
  'dats.work.requested': 'A piece of work for the workers of a lane',
  'dats.model.called': 'One call of a model: tokens, cost, durations, outcome',
  'dats.node.sampled': 'How a process and its machine are: CPU, memory, running work',
  'dats.ops.alert': 'Something an operator should know',
};

type KeyOf = 'project' | 'task' | 'emitter' | 'node' | 'config' | 'ledger' | 'original';
const KEYS: Readonly<Record<KeyOf, string>> = {
  project: 'The project id: all events of a project are in one partition, in order.',
  task: 'The task id.',
  emitter: 'The id of the node that called the model or was sampled, or the consumer group that the alert is about.',
  node: 'The id of the node: its own, or, of what another one sent, the sender.',
  config: `Always "${CONFIG_LOG_KEY}": all changes are in one partition, in order.`,
  ledger: `On ${QUOTA} always "${LEDGER_KEY}": one partition orders everything; on the topic of the project its id.`,
  original: 'The key of the record that failed.',
};

const text = (description: string, more: Json = {}): Json => ({ description, ...more, type: 'string' });

/** Headers that DATS adds beside the CloudEvents attributes of a record that was a dead letter and was retried. */
const RETRIED_FROM = { 'dlq.retried_from': text('On a record that was retried: the dead letter it comes from, `p<partition>-<offset>`.') };

const RESOLUTION_HEADERS: Json = {
  'dlq.resolution': text('What became of it.', { enum: ['retried', 'discarded'] }),
  'dlq.resolved_at': text('When, RFC 3339 UTC.'),
  'dlq.resolved_by': text('Who did it.'),
  'dlq.resolves': text('The `dlq.id` of the dead letter.'),
};

/** The name of an attribute as a Kafka header (A1). */
export const kafkaHeader = (attribute: string): string => (attribute === 'datacontenttype' ? 'content-type' : `ce_${attribute}`);

/** Sorts keys, and `required`, all the way down; the order of other lists means something and stays. */
const sorted = (value: unknown, key = ''): unknown => {
  if (Array.isArray(value)) return key === 'required' ? [...value].sort() : value.map((one) => sorted(one));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, one]) => [name, sorted(one, name)]));
};

const bare = ({ $id: _id, $schema: _dialect, ...schema }: Json): Json => sorted(inDraft07(schema)) as Json;

const keyBinding = (keyOf: KeyOf): Json => ({ key: text(KEYS[keyOf]), bindingVersion: KAFKA_BINDING_VERSION });

const keyOf = (type: EventType): KeyOf => {
  if (type === 'dats.work.requested') return 'task';
  if (eventTypesOn(CONFIG).includes(type)) return 'config';
  if (eventTypesOn(QUOTA).includes(type)) return 'ledger';
  if (eventTypesOn(NODES).includes(type) || eventTypesOn(LINK).includes(type)) return 'node';
  return eventTypesOn(TELEMETRY).includes(type) ? 'emitter' : 'project';
};

interface Fixture {
  readonly headers: Readonly<Record<string, string>>;
  readonly data: unknown;
}

const headersWith = (headers: Readonly<Record<string, string>>): Json =>
  sorted(Object.fromEntries(Object.entries(headers).map(([name, value]) => [kafkaHeader(name), value]))) as Json;

const exampleOf = (dataschema: string): readonly Json[] => {
  const json = EXAMPLES[dataschema];
  if (json === undefined) return [];
  const { headers, data } = JSON.parse(json) as Fixture;
  return [{ name: 'golden', headers: headersWith(headers), payload: sorted(data) }];
};

/** What every event has in common. */
export const eventTrait = (): Json => {
  const { properties, required } = envelopeSchema() as unknown as { properties: Readonly<Record<string, Json>>; required: string[] };
  const headers = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [kafkaHeader(name), schema]));
  return {
    contentType: 'application/json',
    correlationId: { $ref: '#/components/correlationIds/request' },
    headers: sorted({ type: 'object', properties: { ...headers, ...RETRIED_FROM }, required: required.map(kafkaHeader) }),
    bindings: {
      kafka: {
        schemaIdLocation: 'payload',
        schemaIdPayloadEncoding: 'confluent',
        schemaLookupStrategy: 'RecordNameStrategy',
        bindingVersion: KAFKA_BINDING_VERSION,
      },
    },
  };
};

/** `<type>.v<version>`: the name of an event version as a message and as a schema. */
const nameOf = (type: EventType, version: string): string => `${type}.v${version}`;

/** Names of all messages of a type or kind, in ascending order of version. */
export const messageNamesOf = (name: EventType | Letter): readonly string[] =>
  name in EVENTS ? Object.keys(EVENTS[name as EventType]).map((version) => nameOf(name as EventType, version)) : [name];

const eventMessage = (type: EventType, version: string, dataschema: string): Json => {
  const latest = Object.keys(EVENTS[type]).at(-1) === version;
  return {
    name: type,
    title: `${type}, version ${version}`,
    summary: `${SUMMARIES[type]}.${latest ? '' : ' Written by older builds; still read.'}`,
    traits: [{ $ref: '#/components/messageTraits/event' }],
    headers: { type: 'object', properties: { ce_dataschema: { const: dataschema }, ce_type: { const: type } } },
    payload: { $ref: `#/components/schemas/${nameOf(type, version)}` },
    bindings: { kafka: keyBinding(keyOf(type)) },
    examples: exampleOf(dataschema),
  };
};

const letterMessages = (): Readonly<Record<Letter, Json>> => ({
  'dats.dead-letter': {
    name: 'dats.dead-letter',
    title: 'Dead letter',
    summary: 'A record that could not be processed: its key, headers and value as they were, and headers that say why.',
    headers: {
      type: 'object',
      properties: Object.fromEntries(Object.entries(LETTER_MEANINGS).map(([name, description]) => [name, text(description)])),
      required: [LETTER.id],
    },
    payload: { description: 'The value of the record, byte for byte; it may be no JSON at all.' },
    bindings: { kafka: keyBinding('original') },
  },
  'dats.dead-letter.resolution': {
    name: 'dats.dead-letter.resolution',
    title: 'Resolution of a dead letter',
    summary: 'Marks a dead letter as retried or discarded. The value is empty.',
    headers: { type: 'object', properties: RESOLUTION_HEADERS, required: Object.keys(RESOLUTION_HEADERS) },
    payload: { type: 'string', const: '' },
    bindings: { kafka: keyBinding('original') },
  },
});

/** Message name -> message, and schema name -> payload. */
export const messagesAndSchemas = (): Record<'messages' | 'schemas', Readonly<Record<string, Json>>> => {
  const messages: Record<string, Json> = letterMessages();
  const schemas: Record<string, Json> = {};
  const payloads = eventSchemas();
  for (const [type, versions] of Object.entries(EVENTS) as [EventType, object][])
    for (const version of Object.keys(versions)) {
      const dataschema = `urn:dats:${type.slice('dats.'.length)}:${version}`;
      messages[nameOf(type, version)] = eventMessage(type, version, dataschema);
      schemas[nameOf(type, version)] = bare(payloads.get(dataschema)!);
    }
  const byName = <T>(map: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { messages: byName(messages), schemas: byName(schemas) };
};
