// The schemas as a schema registry gets them: one subject an event type, one JSON Schema a version.
//
// S1. RecordNameStrategy: the subject is the event type, which is the schema's `title` too. S2. Draft 07: the newest dialect that all registries' checkers
// and the validators of their clients share. Rewritten is only what those validators do not take: `format`, where a pattern says the same, and lists of
// types. S3. Objects are closed (`additionalProperties: false`), so that a property may be added later. S4. The text of a version never changes, to the byte:
// its id at the registry depends on it. Keys are sorted, and `schemas/published` keeps every text there ever was (tested).
import { EVENTS, type EventType, eventSchemas, inDraft07 } from '../../schemas/index.js';

type Json = Readonly<Record<string, unknown>>;

/** One version of an event type. */
export interface RegistrySchema {
  readonly type: EventType;
  readonly version: number;
  /** `urn:dats:<type>:<version>`: what `ce_dataschema` says, and the `$id` of the schema. */
  readonly dataschema: string;
  /** The schema as JSON, without spaces. */
  readonly text: string;
}

export const DIALECT = 'http://json-schema.org/draft-07/schema#';

/** Keywords whose keys are names of properties, not keywords. */
const NAMED: ReadonlySet<string> = new Set(['properties', 'definitions', 'patternProperties']);
/** Keywords that hold values, not schemas. */
const VALUES: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples', 'required']);

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

const mapped = (schemas: object): Json =>
  Object.fromEntries(
    Object.entries(schemas)
      .sort(byKey)
      .map(([name, schema]) => [name, rewritten(schema)]),
  );

const keyword = (name: string, value: unknown): readonly [string, unknown] => {
  if (name === '$schema') return [name, DIALECT];
  if (name === 'required') return [name, [...(value as string[])].sort()];
  if (name === 'type' && Array.isArray(value)) return ['anyOf', value.map((type) => ({ type }))];
  if (VALUES.has(name)) return [name, value];
  return [name, NAMED.has(name) ? mapped(value as object) : rewritten(value)];
};

const rewritten = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(rewritten);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([name]) => name !== 'format' || !('pattern' in schema));
  return Object.fromEntries(kept.map(([name, value]) => keyword(name, value)).sort(byKey));
};

/** All versions of all event types that this build knows: types in the order of `EVENTS`, versions ascending. */
export const registrySchemas = (): readonly RegistrySchema[] => {
  const schemas = eventSchemas();
  return (Object.keys(EVENTS) as EventType[]).flatMap((type) =>
    Object.keys(EVENTS[type])
      .map(Number)
      .sort((a, b) => a - b)
      .map((version) => {
        const dataschema = `urn:dats:${type.slice('dats.'.length)}:${version}`;
        return { type, version, dataschema, text: JSON.stringify(rewritten(inDraft07(schemas.get(dataschema)!))) };
      }),
  );
};

/** The file of a version in `schemas/published`. */
export const publishedName = ({ type, version }: Pick<RegistrySchema, 'type' | 'version'>): string => `${type}.v${version}.json`;
