import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { kafkaHeader } from './asyncapi-messages.js';
import { EXAMPLES } from './examples.js';
import {
  type AsyncApi,
  asyncApiDocument,
  attributesSchema,
  DLQ,
  decode,
  EVENTS,
  eventSchemas,
  eventTypesOn,
  Fault,
  inDraft07,
  serversSchema,
  TOPIC_RETENTION_MS,
  TOPICS,
  type Topic,
} from './index.js';

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const { version } = read('../package.json') as { version: string };
const defaults = { version, partitions: serversSchema.parse({ version: 1 }).log.partitions };
const document = asyncApiDocument(defaults);

interface Message {
  readonly name: string;
  readonly headers: { readonly properties: Record<string, { const?: string }>; readonly required?: readonly string[] };
  readonly payload: { readonly $ref?: string };
  readonly bindings: { readonly kafka: { readonly key: { readonly type: string } } };
  readonly examples?: readonly { readonly headers: Record<string, string>; readonly payload: unknown }[];
}
const messages = document.components.messages as unknown as Readonly<Record<string, Message>>;
const eventMessages = Object.entries(messages).filter(([, message]) => Object.hasOwn(EVENTS, message.name));

/** What a reference of the document leads to. */
const follow = (ref: string, from: AsyncApi = document): unknown =>
  ref
    .slice('#/'.length)
    .split('/')
    .reduce<unknown>((place, token) => (place as Record<string, unknown>)?.[token.replaceAll('~1', '/').replaceAll('~0', '~')], from);

/** Every object in `value`, itself included. */
const objectsIn = (value: unknown): Record<string, unknown>[] => {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inner : [value as Record<string, unknown>, ...inner];
};

describe('docs/asyncapi.json', () => {
  it('is the document of this version', () => {
    const kept = read('../docs/asyncapi.json');
    const anew =
      'docs/asyncapi.json is not what the schemas say; make it anew: npm run build && npx dats schemas asyncapi > docs/asyncapi.json && npx biome format --write docs/asyncapi.json';
    expect(kept, anew).toEqual(document);
    expect(JSON.stringify(kept), anew).toBe(JSON.stringify(document));
  });
});

describe('the examples', () => {
  it('are the golden fixtures, all of them', () => {
    const folder = new URL('./fixtures/', import.meta.url);
    const fixtures = readdirSync(folder).map((name) => read(`./fixtures/${name}`) as { headers: { dataschema: string } });
    for (const fixture of fixtures)
      expect(
        JSON.parse(EXAMPLES[fixture.headers.dataschema] ?? 'null'),
        `schemas/examples.ts needs the line '${fixture.headers.dataschema}': '${JSON.stringify(fixture)}'`,
      ).toEqual(fixture);
    expect(Object.keys(EXAMPLES).sort()).toEqual(fixtures.map(({ headers }) => headers.dataschema).sort());
  });

  it.each(eventMessages)('of %s is an event that decodes, and fits the payload that is published', (_name, { payload, examples }) => {
    expect(examples).toHaveLength(1);
    const { headers, payload: data } = examples![0]!;
    const attributes = Object.fromEntries(Object.keys(attributesSchema.shape).map((name) => [name, headers[kafkaHeader(name)]!]));
    expect(decode(attributes, JSON.stringify(data)).data).toEqual(data);
    const published = z.fromJSONSchema(follow(payload.$ref!) as Parameters<typeof z.fromJSONSchema>[0]);
    expect(published.safeParse(data).error).toBeUndefined();
    expect(published.safeParse({}).success).toBe(false);
  });
});

describe('the messages', () => {
  it('are every event version, and the two kinds of letter', () => {
    const versions = Object.entries(EVENTS).flatMap(([type, all]) => Object.keys(all).map((one) => `${type}.v${one}`));
    expect(Object.keys(messages).sort()).toEqual([...versions, 'dats.dead-letter', 'dats.dead-letter.resolution'].sort());
  });

  it('are told apart by their headers', () => {
    for (const [name, { headers, name: type }] of eventMessages) {
      const number = name.slice(name.lastIndexOf('.v') + 2);
      expect(headers.properties['ce_type']).toEqual({ const: type });
      expect(headers.properties['ce_dataschema']).toEqual({ const: `urn:dats:${type.slice('dats.'.length)}:${number}` });
    }
  });

  it('have the headers of the CloudEvents Kafka binding: as the envelope requires, and content-type without a prefix', () => {
    const { headers } = document.components.messageTraits['event'] as { headers: { properties: object; required: readonly string[] } };
    const optional = ['ce_afteroffset', 'ce_causationid', 'ce_traceparent', 'dlq.retried_from'];
    expect(Object.keys(headers.properties).sort()).toEqual([...headers.required, ...optional].sort());
    expect(headers.required).toEqual(
      expect.arrayContaining(['ce_id', 'ce_source', 'ce_specversion', 'ce_time', 'ce_type', 'ce_correlationid', 'content-type']),
    );
    expect(Object.keys(headers.properties)).not.toContain('ce_datacontenttype');
  });

  it('say what the record key is', () => {
    for (const { bindings } of Object.values(messages)) expect(bindings.kafka.key.type).toBe('string');
  });

  it('carry the schemas that dats schemas prints, in keywords that draft 07 understands alike', () => {
    // What a schema is made of, below `properties`, where names are ours.
    const known =
      /^(type|properties|required|additionalProperties|propertyNames|items|additionalItems|enum|const|anyOf|oneOf|minimum|maximum|exclusiveMinimum|minLength|maxLength|minItems|maxItems|pattern|format|title|description)$/;
    const keywordsOf = (schema: Record<string, unknown>): string[] =>
      Object.entries(schema).flatMap(([keyword, value]) => {
        if (keyword === 'properties') return Object.values(value as object).flatMap(keywordsOf);
        const inner = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'object' && one !== null);
        return [keyword, ...inner.flatMap(keywordsOf)];
      });
    for (const [name, { payload }] of eventMessages) {
      const schema = follow(payload.$ref!) as Record<string, unknown>;
      expect(keywordsOf(schema).filter((keyword) => !known.test(keyword))).toEqual([]);
      const dataschema = messages[name]!.headers.properties['ce_dataschema']!.const!;
      const { $id: _id, $schema: _dialect, ...printed } = eventSchemas().get(dataschema)!;
      const unordered = (value: unknown): unknown =>
        JSON.parse(JSON.stringify(value), (key, one) => (key === 'required' && Array.isArray(one) ? [...one].sort() : one));
      expect(schema).toEqual(unordered(inDraft07(printed)));
    }
  });
});

describe('channels and operations', () => {
  it('are one channel a topic, with what is sent there', () => {
    expect(Object.keys(document.channels).sort()).toEqual([...TOPICS].sort());
    for (const topic of TOPICS) {
      const { address, messages: on } = document.channels[topic]!;
      expect(address).toBe(topic);
      const types = [...new Set(Object.keys(on).map((name) => messages[name]!.name))].sort();
      expect(types).toEqual(topic === DLQ ? ['dats.dead-letter', 'dats.dead-letter.resolution'] : [...eventTypesOn(topic)].sort());
    }
  });

  it('give every event type a channel', () => {
    const placed = new Set(TOPICS.flatMap((topic) => eventTypesOn(topic)));
    expect([...placed].sort()).toEqual(Object.keys(EVENTS).sort());
  });

  it('refer to messages of their own channel, at least one', () => {
    for (const [name, { channel, messages: used }] of Object.entries(document.operations)) {
      expect(used.length, name).toBeGreaterThan(0);
      for (const { $ref } of used) {
        expect($ref.startsWith(`${channel.$ref}/messages/`), `${name}: ${$ref}`).toBe(true);
        expect(follow($ref), `${name}: ${$ref}`).toBeDefined();
      }
    }
  });

  it('name a consumer group where partitions are shared, and the same one for a role', () => {
    const groups = Object.entries(document.operations).flatMap(([name, { bindings }]) => {
      const { kafka } = (bindings ?? {}) as { kafka?: { groupId: { const: string } } };
      return kafka === undefined ? [] : [`${name} ${kafka.groupId.const}`];
    });
    expect(groups).toEqual([
      'decidersAccountQuota quota',
      'decidersAuditLifecycle audit',
      'decidersReceiveLifecycle core',
      'decidersTraceLifecycle cascade',
      'linkHandOnConfig settings',
      'linkKeepHomesLifecycle homes',
      'linkTakeInLink link',
      'linkWatchNodes nodes',
      'viewsReceiveLifecycle views',
      'viewsRecordLifecycle history',
      'viewsRecordTelemetry history',
      'workersReceiveWorkAnalysis workers',
      'workersReceiveWorkLarge workers',
      'workersReceiveWorkMedium workers',
      'workersReceiveWorkQa workers',
      'workersReceiveWorkReplay workers',
      'workersReceiveWorkSmall workers',
    ]);
  });
});

describe('the document', () => {
  it('contains whatever it refers to', () => {
    const refs = objectsIn(document).flatMap(({ $ref }) => (typeof $ref === 'string' ? [$ref] : []));
    expect(refs.length).toBeGreaterThan(100);
    expect(refs.filter((one) => !one.startsWith('#/') || follow(one) === undefined)).toEqual([]);
  });

  it('is the same to the byte for the same options', () => {
    expect(JSON.stringify(asyncApiDocument(defaults))).toBe(JSON.stringify(document));
  });

  it('names no server without brokers; with them, each with the registry, never with its password', () => {
    expect(document).not.toHaveProperty('servers');
    const { servers } = asyncApiDocument({
      ...defaults,
      brokers: ['a:9092', 'b:9092'],
      registryUrl: 'http://user:secret@r:8081/apis/ccompat/v7',
    });
    const kafka = { schemaRegistryUrl: 'http://r:8081/apis/ccompat/v7', schemaRegistryVendor: 'confluent', bindingVersion: '0.5.0' };
    expect(servers).toEqual({
      'kafka-1': { host: 'a:9092', protocol: 'kafka', bindings: { kafka } },
      'kafka-2': { host: 'b:9092', protocol: 'kafka', bindings: { kafka } },
    });
  });

  it('refuses a registry address that is none, without repeating it', () => {
    const make = () => asyncApiDocument({ ...defaults, brokers: ['a:9092'], registryUrl: 'secret' });
    expect(make).toThrow(Fault);
    expect(make).toThrow(
      expect.objectContaining({ kind: 'terminal', code: 'bad_registry_url', message: expect.not.stringContaining('secret') }),
    );
  });

  it('says how long a topic keeps its records: history for ever', () => {
    const keptMs = Object.entries(document.channels).map(([topic, { bindings }]) => {
      const { kafka } = bindings as { kafka: { topicConfiguration: { 'retention.ms': number } } };
      return [topic, kafka.topicConfiguration['retention.ms']];
    });
    expect(Object.fromEntries(keptMs)).toMatchObject({ 'dats.lifecycle': -1, 'dats.audit': -1, 'dats.dlq': -1 });
    expect(keptMs).toEqual(Object.keys(document.channels).map((topic) => [topic, TOPIC_RETENTION_MS[topic as Topic] ?? -1]));
  });

  it('puts the prefix of an installation before its topics and groups, and nowhere else', () => {
    const { channels, operations } = asyncApiDocument({ ...defaults, prefix: 'team-a.' });
    expect(Object.keys(channels)).toEqual(Object.keys(document.channels));
    expect(channels['dats.dlq']).toMatchObject({ address: 'team-a.dats.dlq', bindings: { kafka: { topic: 'team-a.dats.dlq' } } });
    expect(operations['decidersReceiveLifecycle']).toMatchObject({ bindings: { kafka: { groupId: { const: 'team-a.core' } } } });
    expect(operations['decidersReceiveLifecycle']!.channel.$ref).toBe('#/channels/dats.lifecycle');
  });
});
