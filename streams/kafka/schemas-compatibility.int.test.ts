// The compatibility check of CI: what the code says against everything that was ever published (schemas/published), judged by a real registry.
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeWith } from '../testing/servers.js';
import { checkSchemas, publishSchemas, type RegistryOptions, registerSchemas } from './registry.js';
import { type RegistrySchema, registrySchemas } from './registry-schemas.js';
import { askRegistry, registerText, removeSubjects, subjectPrefix, subjectsUnder } from './testing/registry.js';
import { testRegistry } from './testing/servers.js';

const PUBLISHED = new URL('../../schemas/published/', import.meta.url);

interface PublishedFile {
  readonly type: string;
  readonly version: number;
  readonly text: string;
}

/** In the order in which they were published. */
const publishedFiles = (): readonly PublishedFile[] =>
  readdirSync(PUBLISHED)
    .flatMap((name) => {
      const [, type, version] = /^(.+)\.v(\d+)\.json$/.exec(name) ?? [];
      return type === undefined ? [] : [{ type, version: Number(version), text: readFileSync(new URL(name, PUBLISHED), 'utf8') }];
    })
    .sort((a, b) => a.version - b.version);

/** Of each test alone: a registry goes on counting versions where a subject was removed. */
let prefix: string;
let where: RegistryOptions;
const TYPE = 'dats.task.created';
const created = registrySchemas().find(({ type }) => type === TYPE)!;

type Json = { properties: Record<string, unknown>; required: string[] };
/** Another version of `dats.task.created`. */
const variant = (version: number, change: (schema: Json) => object): RegistrySchema => {
  const dataschema = `urn:dats:task.created:${version}`;
  const text = JSON.stringify({ ...JSON.parse(created.text), ...change(JSON.parse(created.text) as Json), $id: dataschema });
  return { type: TYPE, version, dataschema, text };
};
const withOptional = variant(2, ({ properties }) => ({ properties: { ...properties, colour: { type: 'string' } } }));
const withRequired = variant(2, ({ properties, required }) => ({
  properties: { ...properties, colour: { type: 'string' } },
  required: [...required, 'colour'],
}));
const changedInPlace = variant(1, ({ properties }) => ({ properties: { ...properties, colour: { type: 'string' } } }));

const versionsOf = async (): Promise<unknown> => (await askRegistry(`/subjects/${prefix}${TYPE}/versions`)).body;

describeWith(['registry'], 'at a real registry', () => {
  beforeEach(() => {
    prefix = subjectPrefix();
    where = { url: testRegistry(), subjectPrefix: prefix };
  });
  afterEach(() => removeSubjects(prefix));

  describe('what the code says', () => {
    it('is compatible with everything that was published', async () => {
      const files = publishedFiles();
      expect(files.length).toBeGreaterThanOrEqual(registrySchemas().length);
      for (const { type } of files) await askRegistry(`/config/${prefix}${type}`, 'PUT', { compatibility: 'BACKWARD_TRANSITIVE' });
      for (const { type, version, text } of files)
        expect([type, version, (await registerText(prefix + type, JSON.stringify(JSON.parse(text)))).status]).toEqual([type, version, 200]);

      const checks = await checkSchemas(where);
      expect(checks.flatMap(({ problem }) => problem ?? [])).toEqual([]);
      expect(checks.map(({ outcome }) => outcome)).toEqual(registrySchemas().map(() => 'published'));
    });
  });

  describe('the check', () => {
    it('publishes nothing', async () => {
      const checks = await checkSchemas(where);
      expect(new Set(checks.map(({ outcome }) => outcome))).toEqual(new Set(['new']));
      expect(await subjectsUnder(prefix)).toEqual([]);
    });

    it('accepts a new version that adds an optional property, and both versions have an id', async () => {
      await publishSchemas({ ...where, schemas: [created] });
      const schemas = [created, withOptional];
      expect((await checkSchemas({ ...where, schemas })).map(({ outcome }) => outcome)).toEqual(['published', 'new']);
      const ids = await registerSchemas({ ...where, schemas });
      expect([...ids.keys()]).toEqual([created.dataschema, withOptional.dataschema]);
      expect(new Set(ids.values()).size).toBe(2);
      expect(await versionsOf()).toEqual([1, 2]);
    });

    it('refuses a new version with a required property, and so does the registry: by its own word', async () => {
      await publishSchemas({ ...where, schemas: [created] });
      const schemas = [created, withRequired];
      const [, second] = await checkSchemas({ ...where, schemas });
      expect(second).toMatchObject({
        outcome: 'incompatible',
        problem: expect.stringMatching(/dats\.task\.created.*add optional properties only/),
      });

      expect((await registerText(prefix + TYPE, withRequired.text)).status).toBe(409);
      await expect(registerSchemas({ ...where, schemas })).rejects.toMatchObject({
        kind: 'fatal',
        code: 'schema_incompatible',
        message: expect.stringMatching(new RegExp(`${prefix}${TYPE}.*required.*add optional properties only`, 'is')),
      });
      expect(await versionsOf()).toEqual([1]);
    });

    it('refuses a version that was changed in place, though the registry would take it', async () => {
      await publishSchemas({ ...where, schemas: [created] });
      const schemas = [changedInPlace];
      const problem = expect.stringMatching(
        /version 1 of dats\.task\.created was changed in place.*give the type a new version \(2 in EVENTS/,
      );
      expect(await checkSchemas({ ...where, schemas })).toMatchObject([{ outcome: 'changed', problem }]);
      await expect(registerSchemas({ ...where, schemas })).rejects.toMatchObject({
        kind: 'fatal',
        code: 'schema_incompatible',
        message: problem,
      });
      expect(await versionsOf()).toEqual([1]);
      expect((await registerText(prefix + TYPE, changedInPlace.text)).status).toBe(200);
    });

    it('says so where the registry does not check, and publishing sets the rule first', async () => {
      await publishSchemas({ ...where, schemas: [created] });
      await askRegistry(`/config/${prefix}${TYPE}`, 'PUT', { compatibility: 'NONE' });
      const schemas = [created, withRequired];
      const [, second] = await checkSchemas({ ...where, schemas });
      expect(second).toMatchObject({ outcome: 'unchecked', problem: expect.stringContaining('compatibility NONE') });
      await expect(publishSchemas({ ...where, schemas })).rejects.toMatchObject({ code: 'schema_incompatible' });
      expect((await askRegistry(`/config/${prefix}${TYPE}`)).body).toEqual({ compatibilityLevel: 'BACKWARD_TRANSITIVE' });
    });
  });
});
