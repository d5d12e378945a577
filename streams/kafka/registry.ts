// The events at a schema registry: publishing them, and checking them against what is published.
//
// R1. A subject is an event type (RecordNameStrategy), each version of it a schema; versions are registered in ascending order. R2. What is there is not
// written again: any number of processes may start at once, and a user who may only read is enough once all is published. R3. A subject demands
// BACKWARD_TRANSITIVE (or more) before anything is registered under it. R4. A version that was published is never replaced: other content under the same
// `$id` is refused even where the registry would take it. R5. Each call ends within its limit.
import { Fault, timeoutSignal } from '../../schemas/index.js';
import type { SchemaIds } from './codec.js';
import { type Registered, type RegistryAddress, type RegistryClient, registryClient } from './registry-client.js';
import { type RegistrySchema, registrySchemas } from './registry-schemas.js';

export interface RegistryOptions extends RegistryAddress {
  /** Before every subject: several installations at one registry. Default none. */
  readonly subjectPrefix?: string;
  /** How long the call may take, in milliseconds; default 20,000. */
  readonly timeoutMs?: number;
  /** Default: all event versions of this build. */
  readonly schemas?: readonly RegistrySchema[];
}

/** A version that is at the registry. */
export interface PublishedSchema {
  readonly subject: string;
  readonly version: number;
  readonly dataschema: string;
  readonly id: number;
  /** It was not there before this call. */
  readonly registered: boolean;
}

/**
 * What the registry would say to a version. `published`: it has it. `new`: it would take it. `incompatible`: it would not. `changed`: it has another schema
 * of this name. `unchecked`: the subject demands too little of new versions, so its word would mean nothing.
 */
export interface SchemaCheck {
  readonly subject: string;
  readonly version: number;
  readonly dataschema: string;
  readonly outcome: 'published' | 'new' | 'incompatible' | 'changed' | 'unchecked';
  readonly id?: number;
  /** What is wrong and what to do; only where something is. */
  readonly problem?: string;
}

const TIMEOUT_MS = 20_000;
const SUBJECTS_AT_ONCE = 4;
const LEVEL = 'BACKWARD_TRANSITIVE';
/** Levels that refuse whatever LEVEL refuses. */
const STRICT: ReadonlySet<string> = new Set([LEVEL, 'FULL_TRANSITIVE']);

/** Registers what is missing, and gives the id of every known version by its `dataschema`. @throws Fault as `publishSchemas` */
export const registerSchemas = async (options: RegistryOptions): Promise<SchemaIds> =>
  new Map((await publishSchemas(options)).map(({ dataschema, id }) => [dataschema, id]));

/**
 * Registers what is missing.
 * @throws Fault retryable `registry_unavailable`; fatal `schema_incompatible` (the registry refuses a version, or has another schema of that name),
 * `registry_refused` (credentials, or no registry at all), `bad_registry_url`.
 */
export const publishSchemas = (options: RegistryOptions): Promise<readonly PublishedSchema[]> => eachSchema(options, publish);

/** What publishing would do, without doing it. @throws Fault as `publishSchemas`, but for `schema_incompatible`: that is in the answer. */
export const checkSchemas = (options: RegistryOptions): Promise<readonly SchemaCheck[]> => eachSchema(options, check);

type Step<T> = (client: RegistryClient, subject: string, schema: RegistrySchema) => Promise<T>;

/** Versions of a subject one after another, some subjects at a time; the first failure ends all. */
const eachSchema = async <T>(options: RegistryOptions, step: Step<T>): Promise<readonly T[]> => {
  const { subjectPrefix = '', timeoutMs = TIMEOUT_MS, schemas = registrySchemas() } = options;
  const failed = new AbortController();
  const client = registryClient(options, AbortSignal.any([failed.signal, timeoutSignal(timeoutMs)]));
  const outcomes: T[] = new Array(schemas.length);
  const waiting = bySubject(schemas);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !failed.signal.aborted; next = waiting.shift())
      for (const at of next) outcomes[at] = await step(client, subjectPrefix + schemas[at]!.type, schemas[at]!);
  };
  try {
    await Promise.all(Array.from({ length: SUBJECTS_AT_ONCE }, work));
  } finally {
    failed.abort();
  }
  return outcomes;
};

/** Where the versions of each subject stand in `schemas`, in their order. */
const bySubject = (schemas: readonly RegistrySchema[]): (readonly number[])[] => {
  const places = new Map<string, number[]>();
  schemas.forEach(({ type }, at) => void places.set(type, [...(places.get(type) ?? []), at]));
  return [...places.values()];
};

const publish: Step<PublishedSchema> = async (client, subject, schema) => {
  const { version, dataschema, text } = schema;
  const published = (id: number, registered: boolean) => ({ subject, version, dataschema, id, registered });
  const there = await client.find(subject, text);
  if (there !== undefined) return published(there.id, false);
  const named = ofThatName(await client.versions(subject), schema);
  if (named?.same) return published(named.id, false);
  if (named !== undefined) throw new Fault('fatal', 'schema_incompatible', changedProblem(subject, schema));
  const level = await strictLevel(client, subject);
  return published(await client.register(subject, text, level), true);
};

const isStrict = (level: string | undefined): level is string => level !== undefined && STRICT.has(level);

/** The level under which a subject's next version is registered; sets it where the subject demands too little (R3). */
const strictLevel = async (client: RegistryClient, subject: string): Promise<string> => {
  const level = await client.compatibility(subject);
  if (isStrict(level)) return level;
  try {
    await client.setCompatibility(subject, LEVEL);
    return LEVEL;
  } catch (error) {
    // Of two processes that set it at the same moment, a registry may refuse the second.
    const meanwhile = await client.compatibility(subject);
    if (isStrict(meanwhile)) return meanwhile;
    throw error;
  }
};

const check: Step<SchemaCheck> = async (client, subject, schema) => {
  const { version, dataschema, text } = schema;
  const checked = { subject, version, dataschema };
  const there = await client.find(subject, text);
  if (there !== undefined) return { ...checked, outcome: 'published', id: there.id };
  const versions = await client.versions(subject);
  const named = ofThatName(versions, schema);
  if (named?.same) return { ...checked, outcome: 'published', id: named.id };
  if (named !== undefined) return { ...checked, outcome: 'changed', problem: changedProblem(subject, schema) };
  if (versions.length === 0) return { ...checked, outcome: 'new' };
  const level = await client.compatibility(subject);
  if (!isStrict(level)) return { ...checked, outcome: 'unchecked', problem: uncheckedProblem(subject, level) };
  for (const older of versions) {
    const { accepted, why } = await client.accepts(subject, older.version, text);
    if (!accepted) return { ...checked, outcome: 'incompatible', problem: incompatibleProblem(subject, schema, older, why) };
  }
  return { ...checked, outcome: 'new' };
};

/** The published schema with the `$id` of this one, and whether it says the same. */
const ofThatName = (
  versions: readonly Registered[],
  schema: RegistrySchema,
): { readonly id: number; readonly same: boolean } | undefined => {
  const wanted = canonical(JSON.parse(schema.text));
  const named = versions.flatMap(({ id, text }) => {
    const json = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return json['$id'] === schema.dataschema ? [{ id, same: canonical(json) === wanted }] : [];
  });
  return named.find(({ same }) => same) ?? named[0];
};

/** A registry may give a schema back with its keys in another order. */
const canonical = (json: unknown): string =>
  JSON.stringify(json, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );

const changedProblem = (subject: string, { type, version }: RegistrySchema): string =>
  `version ${version} of ${type} was changed in place: the registry has another schema of that name (subject ${subject}). A published version stays as it is: ` +
  `restore it, and give the type a new version (${version + 1} in EVENTS of schemas/registry.ts) with the change`;

const incompatibleProblem = (subject: string, { type, version }: RegistrySchema, older: Registered, why: string): string =>
  `version ${version} of ${type} is not compatible with version ${older.version} of subject ${subject}: ${why === '' ? 'the registry gives no reason' : why}. ` +
  'Records of all older versions must fit a new one: add optional properties only, or make a new event type';

const uncheckedProblem = (subject: string, level: string | undefined): string =>
  `the registry does not check new versions of ${subject} (compatibility ${level ?? 'not set'}); "dats schemas push" sets ${LEVEL} and then checks`;
