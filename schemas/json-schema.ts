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
