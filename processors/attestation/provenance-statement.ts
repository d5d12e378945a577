// How an artifact came to be, as an in-toto statement with SLSA provenance v1. Pure: the same events, the same statement.
//
// P1. External parameters are what came from outside: the task as it was submitted. Internal parameters are what was decided here. P2. Everything that the
// model could see is among the resolved dependencies, by digest; what was left out of the prompt is named in `omitted`. P3. By-products are the events,
// by digest of their canonical JSON and by position: whoever has the log can check every word.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Resource, Statement } from '../../schemas/index.js';
import { BUILD_TYPE, BUILDER_ID, digestOfModel, urn } from './names.js';
import { type At, filesOf, type GenerationRecord, type Surroundings } from './record.js';
import type { Standing } from './standing.js';
import { statementAbout } from './subject.js';

export const PROVENANCE_TYPE = 'https://slsa.dev/provenance/v1';

const eventResource = ({ event, offset }: At, partition: number): Resource => ({
  name: event.type,
  uri: urn('event', event.id),
  digest: { sha256: createHash('sha256').update(canonicalize(event)!).digest('hex') },
  annotations: { partition, offset, time: event.time },
});

const externalParameters = ({ created }: GenerationRecord, { parent }: Surroundings) => {
  const { task_id, description, options, priority, inputs, depends_on, submitted_by, tests, redo } = created.event.data;
  return {
    taskId: task_id,
    projectId: created.event.projectid,
    submittedBy: parent?.event.data.submitted_by ?? submitted_by,
    description: { sha256: description.sha256 },
    options,
    priority,
    inputs: inputs.map(({ artifact_id }) => artifact_id),
    dependsOn: depends_on,
    ...(parent === undefined
      ? {}
      : { parent: { taskId: parent.event.data.task_id, description: { sha256: parent.event.data.description.sha256 } } }),
    ...(tests === undefined ? {} : { tests: { ...tests, code: { sha256: tests.code.sha256 } } }),
    ...(redo === undefined ? {} : { redo }),
  };
};

const internalParameters = ({ ready, started, output }: GenerationRecord, { plan }: Surroundings) => {
  const { attempt, model, provider, model_digest, scripted, prompt_version, sampling, omitted, fence, tokens_in, tokens_out } =
    output.event.data;
  return {
    attempt,
    tier: ready.event.data.tier,
    domain: ready.event.data.domain,
    decidedBy: urn('event', ready.event.id),
    configVersion: ready.event.configversion,
    model,
    provider,
    ...(model_digest === undefined ? {} : { modelBuild: model_digest }),
    /** True: made by a script, not by a model. */
    scripted,
    promptVersion: prompt_version,
    sampling,
    omitted,
    tokens: { input: tokens_in, output: tokens_out },
    fence,
    ...(started === undefined ? {} : { node: started.event.data.node, worker: started.event.data.worker }),
    ...(plan === undefined ? {} : { plannedBy: { event: urn('event', plan.event.id), ...plan.event.data.planner } }),
  };
};

const dependencies = ({ created, output }: GenerationRecord, { parent }: Surroundings): Resource[] => {
  const { consumed, prompt_sha256, prompt_version, model, provider, model_digest } = output.event.data;
  const digest = digestOfModel(model_digest);
  return [
    { name: `prompt ${prompt_version}`, uri: urn('prompt', prompt_sha256), digest: { sha256: prompt_sha256 } },
    { name: model, uri: urn('model', provider, model), ...(digest === undefined ? {} : { digest }) },
    ...consumed.map(({ artifact_id, path, sha256, task_id, at }) => ({
      name: path,
      uri: urn('artifact', artifact_id),
      digest: { sha256 },
      annotations: { kind: 'artifact', taskId: task_id, offset: at },
    })),
    ...filesOf(created.event, parent?.event).map(({ path, sha256 }) => ({
      name: path,
      uri: urn('content', sha256),
      digest: { sha256 },
      annotations: { kind: 'file' },
    })),
  ];
};

export const provenanceStatement = (record: GenerationRecord, around: Surroundings, standing: Standing): Statement => {
  const { created, ready, started, output, validated, completed } = record;
  const events = [created, around.parent, around.plan, ready, started, output, validated, completed]
    .flatMap<At>((at) => at ?? [])
    .sort((a, b) => a.offset - b.offset);
  const invocation = completed === undefined ? undefined : urn('execution', completed.event.data.provenance_id);
  return statementAbout(record.artifact, standing, PROVENANCE_TYPE, {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: externalParameters(record, around),
      internalParameters: internalParameters(record, around),
      resolvedDependencies: dependencies(record, around),
    },
    runDetails: {
      builder: { id: BUILDER_ID },
      metadata: {
        ...(invocation === undefined ? {} : { invocationId: invocation }),
        ...(started === undefined ? {} : { startedOn: started.event.time }),
        finishedOn: output.event.time,
      },
      byproducts: events.map((at) => eventResource(at, record.partition)),
    },
  });
};
