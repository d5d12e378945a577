// JSON Schema 2020-12 of everything that is said: events by `dataschema`, and the shape of servers.yaml.
import { z } from 'zod';
import { attributesSchema } from './envelope.js';
import { EVENTS } from './registry.js';
import { serversSchema } from './servers.js';

type JsonSchema = Record<string, unknown>;

const convert = (schema: z.ZodType, io: 'input' | 'output' = 'output'): JsonSchema =>
  z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as JsonSchema;

/** `dataschema` -> schema of an event's `data`. */
export const eventSchemas = (): ReadonlyMap<string, JsonSchema> => {
  const all = new Map<string, JsonSchema>();
  for (const [type, versions] of Object.entries(EVENTS))
    for (const [version, schema] of Object.entries(versions)) {
      const id = `urn:dats:${type.slice('dats.'.length)}:${version}`;
      all.set(id, { $id: id, title: type, ...convert(schema) });
    }
  return all;
};

const tuple = (_key: string, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || !('prefixItems' in value)) return value;
  const { prefixItems: items, items: additionalItems = true, ...rest } = value as JsonSchema;
  return { ...rest, items, additionalItems };
};

/** The same schema for readers of draft 07, who have other words for tuples: to them `items: false` would refuse every element. All else is alike. */
export const inDraft07 = (schema: JsonSchema): JsonSchema => JSON.parse(JSON.stringify(schema, tuple)) as JsonSchema;

/** The attributes that every event has. */
export const envelopeSchema = (): JsonSchema => ({
  $id: 'urn:dats:envelope:1',
  title: 'CloudEvents attributes',
  ...convert(attributesSchema),
});

/** servers.yaml, for editors. */
export const serversJsonSchema = (): JsonSchema => ({
  $id: 'urn:dats:servers:1',
  title: 'servers.yaml',
  ...convert(serversSchema, 'input'),
});
