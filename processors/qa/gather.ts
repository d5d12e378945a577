// What a check looks at, read from the log: what the attempt produced, what the task brought, and what the tasks before it made.
import { type ArtifactRef, Fault, type FileContent, languageOf, type StoredTests, type Work } from '../../schemas/index.js';
import type { ArtifactStore } from '../artifact-store.js';
import { inlineText, loadText } from '../content.js';
import type { EffectContext } from '../effect.js';
import { taskSpecOf } from '../task-spec.js';
import type { CheckInput, LoadedFile } from './check.js';

const loaded = (file: FileContent, content: string): LoadedFile => ({ path: file.path, type: languageOf(file.path), content });

const load = async (artifacts: ArtifactStore, file: FileContent): Promise<LoadedFile> => loaded(file, await loadText(artifacts, file));

/** Without a promise where all of them are inline, as nearly always. */
const loadAll = (artifacts: ArtifactStore, files: readonly FileContent[]): readonly LoadedFile[] | Promise<readonly LoadedFile[]> => {
  const inline: LoadedFile[] = [];
  for (const file of files) {
    const text = inlineText(file);
    if (text === undefined) return Promise.all(files.map((each) => load(artifacts, each)));
    inline.push(loaded(file, text));
  }
  return inline;
};

const loadTests = async (artifacts: ArtifactStore, tests: StoredTests | undefined): Promise<CheckInput['tests']> => {
  if (!tests) return undefined;
  const { code, language, entry_point, path, command, timeout_s } = tests;
  return {
    language,
    code: await loadText(artifacts, code),
    ...(entry_point === undefined ? {} : { entry_point }),
    ...(path === undefined ? {} : { path }),
    ...(command === undefined ? {} : { command }),
    ...(timeout_s === undefined ? {} : { timeout_s }),
  };
};

/** Files of the tasks it depends on, as the outputs that `refs` name hold them. */
const loadInputs = async (refs: readonly ArtifactRef[], artifacts: ArtifactStore, context: EffectContext): Promise<readonly LoadedFile[]> =>
  Promise.all(
    refs.map(async (ref) => {
      const event = await context.eventAt(ref.at);
      const artifact =
        event.type === 'dats.task.output.created' ? event.data.artifacts.find((a) => a.artifact_id === ref.artifact_id) : undefined;
      if (!artifact) throw new Fault('terminal', 'input_missing', `the artifact ${ref.artifact_id} is not in the event it should be in`);
      return load(artifacts, artifact);
    }),
  );

/** Later ones win: what was produced replaces what was brought. */
const byPath = (...groups: readonly (readonly LoadedFile[])[]): readonly LoadedFile[] => [
  ...new Map(groups.flat().map((file) => [file.path, file])).values(),
];

/**
 * What `task_id` made at `where.output`, with the inputs that `where` names; or, with `standing`, with what that makes of those that it was made from.
 * @throws Fault terminal `event_missing`, `output_missing`, `spec_missing`, `input_missing`, `content_missing`, `content_corrupt`.
 */
export const gather = async (
  { task_id, context: where }: Pick<Work, 'task_id' | 'context'>,
  artifacts: ArtifactStore,
  context: EffectContext,
  standing?: (consumed: readonly ArtifactRef[]) => readonly ArtifactRef[],
): Promise<CheckInput> => {
  const [origin, produced, parent] = await Promise.all([
    context.eventAt(where.created),
    context.eventAt(where.output!),
    where.parent === undefined ? undefined : context.eventAt(where.parent),
  ]);
  if (produced.type !== 'dats.task.output.created')
    throw new Fault('terminal', 'output_missing', `there is a ${produced.type} where the output of task ${task_id} should be`);
  const spec = taskSpecOf(origin, task_id);
  const refs = standing === undefined ? where.inputs : standing(produced.data.consumed);
  const inherited = parent?.type === 'dats.task.created' ? parent.data.files : [];
  const [outputs, own, family, inputs, tests] = await Promise.all([
    loadAll(artifacts, produced.data.artifacts),
    loadAll(artifacts, spec.files),
    loadAll(artifacts, inherited),
    refs.length === 0 ? [] : loadInputs(refs, artifacts, context),
    spec.tests === undefined ? undefined : loadTests(artifacts, spec.tests),
  ]);
  const made = new Set(outputs.map((file) => file.path));
  return { artifacts: outputs, files: byPath(family, own, inputs).filter((file) => !made.has(file.path)), tests };
};
