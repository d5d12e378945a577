import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EVENTS, eventSchemas, inDraft07 } from '../../schemas/index.js';
import { DIALECT, publishedName, registrySchemas } from './registry-schemas.js';

const PUBLISHED = new URL('../../schemas/published/', import.meta.url);

type Json = Record<string, unknown>;

/** Every object in a schema that is a schema itself. */
function* schemasIn(schema: unknown): Generator<Json> {
  if (typeof schema !== 'object' || schema === null) return;
  const json = schema as Json;
  yield json;
  for (const [name, value] of Object.entries(json)) {
    if (name === 'properties') for (const property of Object.values(value as Json)) yield* schemasIn(property);
    else if (['anyOf', 'oneOf', 'allOf'].includes(name)) for (const one of value as unknown[]) yield* schemasIn(one);
    else if (['items', 'additionalProperties', 'propertyNames'].includes(name)) for (const one of [value].flat()) yield* schemasIn(one);
  }
}

describe('the schemas for the registry', () => {
  const schemas = registrySchemas();

  it('are all versions of all events, those of a type ascending', () => {
    expect(schemas.map(({ dataschema }) => dataschema).sort()).toEqual([...eventSchemas().keys()].sort());
    for (const type of Object.keys(EVENTS)) {
      const versions = schemas.filter((schema) => schema.type === type).map(({ version }) => version);
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
    }
  });

  it('are named: the $id is the dataschema, the title is the type and the subject (RecordNameStrategy)', () => {
    for (const { type, version, dataschema, text } of schemas) {
      expect(JSON.parse(text)).toMatchObject({ $schema: DIALECT, $id: dataschema, title: type });
      expect(dataschema).toBe(`urn:dats:${type.slice('dats.'.length)}:${version}`);
    }
  });

  it('mean in draft 07 what they mean in 2020-12: zod writes the same for both, but for tuples', () => {
    for (const [id, { $id: _id, title: _title, ...schema }] of eventSchemas()) {
      const [, , name, version] = id.split(':');
      const versions: Readonly<Record<string, z.ZodType>> = EVENTS[`dats.${name}` as keyof typeof EVENTS];
      expect({ ...inDraft07(schema), $schema: DIALECT }).toEqual(
        z.toJSONSchema(versions[version!]!, { target: 'draft-7', unrepresentable: 'any' }),
      );
    }
  });

  it('hold nothing that the validators of consumers refuse or warn of: a format they do not know, a list of types', () => {
    for (const { dataschema, text } of schemas)
      for (const schema of schemasIn(JSON.parse(text)))
        expect([dataschema, schema['format'], typeof (schema['type'] ?? '')]).toEqual([dataschema, undefined, 'string']);
  });

  it('close every object, so that a property can be added later', () => {
    for (const { dataschema, text } of schemas)
      for (const schema of schemasIn(JSON.parse(text)))
        if (schema['properties'] !== undefined) expect([dataschema, schema['additionalProperties']]).toEqual([dataschema, false]);
  });
});

describe('schemas/published', () => {
  const files = readdirSync(PUBLISHED).filter((name) => name !== 'README.md');

  it('has a file for every version of this build', () => {
    const missing = registrySchemas()
      .map(publishedName)
      .filter((name) => !files.includes(name));
    expect(missing, 'a new version is written there by: npm run dats -- schemas export --out schemas/published && npm run format').toEqual(
      [],
    );
  });

  it('has no version that this build has forgotten: what was published is read for ever', () => {
    const known = registrySchemas().map(publishedName);
    expect(files.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('says what the code says, to the byte', () => {
    for (const schema of registrySchemas()) {
      const published = JSON.stringify(JSON.parse(readFileSync(new URL(publishedName(schema), PUBLISHED), 'utf8')));
      expect(
        schema.text,
        `version ${schema.version} of ${schema.type} was changed in place. Restore it, and give the type a new version in EVENTS of schemas/registry.ts`,
      ).toBe(published);
    }
  });
});
