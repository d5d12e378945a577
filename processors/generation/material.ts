// What a generation is made from, read from the log: the task, its files, its inputs, and what became of the last attempt.
import { type Artifact, type ArtifactRef, type DatsEvent, type EventOf, Fault, type FileContent } from '../../schemas/index.js';
import type { ArtifactStore } from '../artifact-store.js';
import { inlineText, loadText } from '../content.js';
import type { EffectContext } from '../effect.js';
import { type TaskSpec, taskSpecOf } from '../task-spec.js';
import type { TextFile } from './fence.js';

/** For whom a task is done, and whether its content must stay in the building. */
export interface TaskOwner {
  readonly user: string;
  readonly confidential: boolean;
}

export interface GenerationMaterial {
  /** Undefined where neither the task nor its parent was created by somebody: a plan within a plan. */
  readonly owner: TaskOwner | undefined;
  readonly spec: TaskSpec;
  readonly description: string;
  readonly files: readonly TextFile[];
  readonly inputs: readonly TextFile[];
  readonly previous: { readonly reasons: readonly string[]; readonly files: readonly TextFile[] } | undefined;
}

const loadAll = async (artifacts: ArtifactStore, files: readonly FileContent[]): Promise<TextFile[]> => {
  const loaded: TextFile[] = [];
  for (const file of files) loaded.push({ path: file.path, content: inlineText(file) ?? (await loadText(artifacts, file)) });
  return loaded;
};

/** @throws Fault terminal `input_missing` when the event at the reference holds no such artifact. */
const artifactAt = async (context: EffectContext, ref: ArtifactRef): Promise<Artifact> => {
  const event = await context.eventAt(ref.at);
  const artifact =
    event.type === 'dats.task.output.created' ? event.data.artifacts.find(({ artifact_id }) => artifact_id === ref.artifact_id) : undefined;
  if (artifact === undefined)
    throw new Fault('terminal', 'input_missing', `the ${event.type} at offset ${ref.at} holds no artifact ${ref.artifact_id}`);
  return artifact;
};

const previousOf = async (
  work: EventOf<'dats.work.requested'>,
  artifacts: ArtifactStore,
  context: EffectContext,
): Promise<GenerationMaterial['previous']> => {
  const { rejected, output } = work.data.context;
  if (rejected === undefined) return undefined;
  const event = await context.eventAt(rejected);
  const reasons =
    event.type === 'dats.task.rejected'
      ? event.data.reasons
      : event.type === 'dats.task.attempt.failed'
        ? [`${event.data.error.code}: ${event.data.error.message}`]
        : [];
  const made = output === undefined ? undefined : await context.eventAt(output);
  const files = made?.type === 'dats.task.output.created' ? await loadAll(artifacts, made.data.artifacts) : [];
  return { reasons, files };
};

const ownerOf = (event: DatsEvent): TaskOwner | undefined =>
  event.type === 'dats.task.created'
    ? { user: event.data.submitted_by, confidential: event.data.options.confidentiality === 'confidential' }
    : undefined;

/** The files of a subtask are its own and its parent's; its own come first and win. */
const filesOf = async (work: EventOf<'dats.work.requested'>, spec: TaskSpec, context: EffectContext): Promise<readonly FileContent[]> => {
  const { parent } = work.data.context;
  if (parent === undefined) return spec.files;
  const event = await context.eventAt(parent);
  if (event.type !== 'dats.task.created') return spec.files;
  const own = new Set(spec.files.map(({ path }) => path));
  return [...spec.files, ...event.data.files.filter(({ path }) => !own.has(path))];
};

/** @throws Fault of the log or the artifact store. */
export const materialFor = async (
  work: EventOf<'dats.work.requested'>,
  artifacts: ArtifactStore,
  context: EffectContext,
): Promise<GenerationMaterial> => {
  const { task_id } = work.data;
  const refs = work.data.context.inputs;
  const created = await context.eventAt(work.data.context.created);
  const { parent } = work.data.context;
  const spec = taskSpecOf(created, task_id);
  const description = inlineText(spec.description) ?? (await loadText(artifacts, spec.description));
  const own = await filesOf(work, spec, context);
  const inputs: Artifact[] = [];
  for (const ref of refs) inputs.push(await artifactAt(context, ref));
  return {
    owner: ownerOf(created) ?? (parent === undefined ? undefined : ownerOf(await context.eventAt(parent))),
    spec,
    description,
    files: own.length === 0 ? [] : await loadAll(artifacts, own),
    inputs: inputs.length === 0 ? [] : await loadAll(artifacts, inputs),
    previous: await previousOf(work, artifacts, context),
  };
};
