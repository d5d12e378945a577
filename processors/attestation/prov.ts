// How artifacts came to be, as W3C PROV in JSON (https://www.w3.org/submissions/prov-json/). Pure: the same lineage, the same document.
//
// V1. An entity is one version of a file, an activity one attempt of a task; agents are the model, the effect that asked it, and whoever submitted the task.
// V2. Everything that is named is declared. Where the lineage was not followed further, the entity says so. V3. An entity is invalidated while it is tainted
// or taken back, by the cascade or the rollback that says so. V4. Names do not depend on what was asked for, so documents can be merged.
import type { Artifact, ArtifactRef, ProvDocument } from '../../schemas/index.js';
import { localName, type NameKind, namespaceOf } from './names.js';
import { type At, filesOf } from './record.js';
import type { Standing } from './standing.js';

/** An artifact, and how it was made. */
export interface Ancestor {
  readonly artifact: Pick<Artifact, 'artifact_id' | 'path' | 'sha256' | 'bytes' | 'type'>;
  readonly output: At<'dats.task.output.created'>;
  readonly created: At<'dats.task.created'>;
  /** Of the task that it is part of. */
  readonly parent: At<'dats.task.created'> | undefined;
  /** Whoever submitted the task, or for a subtask the task that it is part of in the end. */
  readonly submittedBy: string;
  readonly standing: Standing;
}

type Attributes = Record<string, unknown>;
type Relation = 'used' | 'wasGeneratedBy' | 'wasDerivedFrom' | 'wasAssociatedWith' | 'wasInvalidatedBy';

const NAME_KINDS = [
  'artifact',
  'attempt',
  'cascade',
  'content',
  'model',
  'processor',
  'prompt',
  'rollback',
  'submitter',
] as const satisfies readonly NameKind[];

const nameOf = (kind: (typeof NAME_KINDS)[number], ...parts: readonly string[]): string => `${kind}:${localName(...parts)}`;
const typed = (name: string) => ({ $: name, type: 'xsd:QName' });

/** A document that is being put together; what is said twice stands there once. */
const openDocument = () => {
  const records: Record<'entity' | 'activity' | 'agent', Record<string, Attributes>> = { entity: {}, activity: {}, agent: {} };
  const relations = new Map<Relation, Map<string, Attributes>>();
  return {
    declare: (kind: keyof typeof records, name: string, attributes: Attributes): void => {
      records[kind][name] ??= attributes;
    },
    isDeclared: (name: string): boolean => Object.hasOwn(records.entity, name),
    relate: (relation: Relation, attributes: Attributes): void => {
      const there = relations.get(relation) ?? new Map<string, Attributes>();
      there.set(JSON.stringify(attributes), attributes);
      relations.set(relation, there);
    },
    document: (): ProvDocument => ({
      prefix: { dats: 'urn:dats:prov:', ...Object.fromEntries(NAME_KINDS.map((kind) => [kind, namespaceOf(kind)])) },
      ...records,
      ...Object.fromEntries(
        [...relations].map(([relation, all]) => [
          relation,
          Object.fromEntries([...all.values()].map((one, i) => [`_:${relation}${i + 1}`, one])),
        ]),
      ),
    }),
  };
};
type Document = ReturnType<typeof openDocument>;

const agentsOf = ({ output, submittedBy }: Ancestor) => {
  const { model, provider, model_digest, scripted } = output.event.data;
  return [
    {
      name: nameOf('model', provider, model),
      role: 'model',
      attributes: {
        'prov:type': typed('prov:SoftwareAgent'),
        'prov:label': model,
        'dats:provider': provider,
        'dats:scripted': scripted,
        ...(model_digest === undefined ? {} : { 'dats:build': model_digest }),
      },
    },
    {
      name: nameOf('processor', output.event.source.replace(/^\//, '')),
      role: 'processor',
      attributes: { 'prov:type': typed('prov:SoftwareAgent'), 'prov:label': output.event.source },
    },
    { name: nameOf('submitter', submittedBy), role: 'submitter', attributes: { 'prov:label': submittedBy } },
  ];
};

const sayActivity = (to: Document, ancestor: Ancestor): string => {
  const { output, created, parent } = ancestor;
  const { task_id, attempt, prompt_sha256, prompt_version, tokens_in, tokens_out, duration_ms, consumed } = output.event.data;
  const name = nameOf('attempt', task_id, String(attempt));
  to.declare('activity', name, {
    'prov:endTime': output.event.time,
    'prov:type': typed('dats:Generation'),
    'dats:task': task_id,
    'dats:attempt': attempt,
    'dats:project': output.event.projectid,
    'dats:promptVersion': prompt_version,
    'dats:inputTokens': tokens_in,
    'dats:outputTokens': tokens_out,
    'dats:modelMilliseconds': duration_ms,
    'dats:configVersion': output.event.configversion,
  });
  const use = (entity: string, role: string) => to.relate('used', { 'prov:activity': name, 'prov:entity': entity, 'prov:role': role });
  for (const ref of consumed) use(nameOf('artifact', ref.artifact_id), 'input');
  for (const { path, sha256 } of filesOf(created.event, parent?.event)) {
    to.declare('entity', nameOf('content', sha256), { 'prov:type': typed('dats:File'), 'prov:label': path, 'dats:sha256': sha256 });
    use(nameOf('content', sha256), 'file');
  }
  to.declare('entity', nameOf('prompt', prompt_sha256), { 'prov:type': typed('dats:Prompt'), 'dats:sha256': prompt_sha256 });
  use(nameOf('prompt', prompt_sha256), 'prompt');
  for (const { name: agent, role, attributes } of agentsOf(ancestor)) {
    to.declare('agent', agent, attributes);
    to.relate('wasAssociatedWith', { 'prov:activity': name, 'prov:agent': agent, 'prov:role': role });
  }
  return name;
};

const sayInvalidations = (to: Document, entity: string, standing: Standing): void => {
  for (const { kind, by, reason, time } of standing.markings) {
    if (kind === 'suspect') continue;
    const activity = nameOf(kind === 'tainted' ? 'cascade' : 'rollback', by);
    to.declare('activity', activity, { 'prov:type': typed(kind === 'tainted' ? 'dats:Cascade' : 'dats:Rollback') });
    to.relate('wasInvalidatedBy', {
      'prov:entity': entity,
      'prov:activity': activity,
      'prov:time': time,
      ...(reason === undefined ? {} : { 'dats:reason': reason }),
    });
  }
};

const sayArtifact = (to: Document, ancestor: Ancestor): void => {
  const { artifact, output, standing } = ancestor;
  const entity = nameOf('artifact', artifact.artifact_id);
  to.declare('entity', entity, {
    'prov:type': typed('dats:Artifact'),
    'prov:label': artifact.path,
    'dats:path': artifact.path,
    'dats:sha256': artifact.sha256,
    'dats:bytes': artifact.bytes,
    'dats:language': artifact.type,
    'dats:offset': output.offset,
    'dats:standing': standing.taken_back ? 'taken_back' : standing.mark,
  });
  const activity = sayActivity(to, ancestor);
  to.relate('wasGeneratedBy', { 'prov:entity': entity, 'prov:activity': activity, 'prov:time': output.event.time });
  for (const { artifact_id, path } of output.event.data.consumed)
    to.relate('wasDerivedFrom', {
      'prov:generatedEntity': entity,
      'prov:usedEntity': nameOf('artifact', artifact_id),
      'prov:activity': activity,
      ...(path === artifact.path ? { 'prov:type': typed('prov:Revision') } : {}),
    });
  sayInvalidations(to, entity, standing);
};

const sayUnfollowed = (to: Document, { artifact_id, path, sha256, task_id, at }: ArtifactRef): void =>
  to.declare('entity', nameOf('artifact', artifact_id), {
    'prov:type': typed('dats:Artifact'),
    'prov:label': path,
    'dats:path': path,
    'dats:sha256': sha256,
    'dats:task': task_id,
    'dats:offset': at,
    'dats:lineage': 'not included',
  });

/** @param ancestors each artifact once, in any order. */
export const provDocumentOf = (ancestors: readonly Ancestor[]): ProvDocument => {
  const to = openDocument();
  for (const ancestor of ancestors) sayArtifact(to, ancestor);
  for (const { output } of ancestors)
    for (const ref of output.event.data.consumed) if (!to.isDeclared(nameOf('artifact', ref.artifact_id))) sayUnfollowed(to, ref);
  return to.document();
};
