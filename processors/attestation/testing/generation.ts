// The events of a generation, as the log would hold them, for tests.
import { createHash } from 'node:crypto';
import {
  type Artifact,
  type ArtifactRef,
  type DataOf,
  type DatsEvent,
  dataschemaOf,
  derivedId,
  type EventType,
} from '../../../schemas/index.js';
import type { At } from '../record.js';

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');
export const inline = (text: string) => ({ sha256: sha256Of(text), bytes: Buffer.byteLength(text), content: text });

export const PROJECT = 'p';
const START = Date.parse('2026-11-26T10:00:00.000Z');

/** An event at an offset; its time follows from the offset. */
export const at = <T extends EventType>(offset: number, type: T, subject: string, data: DataOf<T>): At<T> => ({
  offset,
  event: {
    specversion: '1.0',
    id: derivedId(subject, type, offset),
    source: type === 'dats.task.output.created' ? '/effects/generate' : '/deciders/core',
    type,
    time: new Date(START + offset * 1000).toISOString(),
    subject,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: PROJECT,
    correlationid: 'c-1',
    actor: 'test',
    configversion: 'c0ffee',
    data,
  } as unknown as DatsEvent & At<T>['event'],
});

export const artifactOf = (taskId: string, path: string, text: string): Artifact => ({
  artifact_id: derivedId(taskId, 1, path),
  type: 'python',
  path,
  ...inline(text),
});

export const refOf = (artifact: Artifact, taskId: string, offset: number): ArtifactRef => {
  const { artifact_id, path, sha256 } = artifact;
  return { artifact_id, task_id: taskId, path, sha256, at: offset };
};

export interface Made {
  readonly task?: string;
  /** Of its first event; the others follow. */
  readonly offset?: number;
  readonly path?: string;
  readonly text?: string;
  readonly consumed?: readonly ArtifactRef[];
  readonly created?: Partial<DataOf<'dats.task.created'>>;
  readonly output?: Partial<DataOf<'dats.task.output.created'>>;
  readonly context?: Partial<DataOf<'dats.task.ready'>['context']>;
  readonly checks?: DataOf<'dats.task.validated'>['checks'];
}

/** Created, ready, started, output, validated, completed. */
export const generation = (made: Made = {}) => {
  const { task = 't-1', offset = 0, path = 'src/slug.py', text = 'def slugify(text): ...\n', consumed = [], checks } = made;
  const artifact = artifactOf(task, path, text);
  const verdict = { task_id: task, attempt: 1, profile: 'tests' as const, score: 1 };
  const events = {
    created: at(offset, 'dats.task.created', task, {
      task_id: task,
      description: inline('Write slugify'),
      priority: 'normal',
      options: { qa_profile: 'tests' },
      depends_on: [],
      inputs: [],
      files: [{ path: 'notes/style.md', ...inline('be brief') }],
      tests: { language: 'python', code: inline('assert True') },
      submitted_by: 'ada',
      ...made.created,
    }),
    ready: at(offset + 1, 'dats.task.ready', task, {
      task_id: task,
      attempt: 1,
      tier: 'small',
      domain: 'code',
      prompt_version: 'generate.1',
      context: { created: offset, inputs: [...consumed], ...made.context },
      due: '2026-11-26T11:00:00.000Z',
    }),
    started: at(offset + 2, 'dats.task.started', task, { task_id: task, attempt: 1, node: 'n1', worker: 'n1:7', fence: '0-4' }),
    output: at(offset + 3, 'dats.task.output.created', task, {
      task_id: task,
      attempt: 1,
      artifacts: [artifact],
      model: 'qwen3:8b',
      provider: 'ollama',
      model_digest: sha256Of('the build of the model'),
      scripted: false,
      tokens_in: 400,
      tokens_out: 90,
      duration_ms: 812.5,
      prompt_version: 'generate.1',
      prompt_sha256: sha256Of('the prompt'),
      sampling: { temperature: 0, seed: 1 },
      consumed: [...consumed],
      omitted: [{ what: 'notes/long.md', why: 'above the budget' }],
      fence: '0-4',
      ...made.output,
    }),
    validated: at(offset + 4, 'dats.task.validated', task, {
      ...verdict,
      checks: checks ?? [
        { name: 'syntax:python', status: 'passed', duration_ms: 3 },
        { name: 'tests:python', status: 'passed', duration_ms: 40 },
      ],
    }),
    completed: at(offset + 5, 'dats.task.completed', task, {
      task_id: task,
      attempt: 1,
      provenance_id: derivedId(task, 'execution', 1),
      execution_time_ms: 5000,
    }),
  };
  return { ...events, artifact, task, all: Object.values(events) as readonly At[], ref: refOf(artifact, task, offset + 3) };
};

/** What cascades and rollbacks say of an artifact. */
export const sayings = (artifact: Artifact, task: string) => {
  const { artifact_id, path } = artifact;
  const about = { artifact_id, task_id: task, path };
  return {
    tainted: (offset: number, cascade_id: string, reason = 'poisoned model') =>
      at(offset, 'dats.artifact.tainted', artifact_id, { ...about, cascade_id, depth: 0, cause: 'root', reason }),
    suspect: (offset: number, cascade_id: string) => at(offset, 'dats.artifact.suspect', artifact_id, { ...about, cascade_id, depth: 1 }),
    revalidated: (offset: number, cascade_id: string, verdict: DataOf<'dats.artifact.revalidated'>['verdict']) =>
      at(offset, 'dats.artifact.revalidated', artifact_id, {
        cascade_id,
        artifact_id,
        task_id: task,
        attempt: 1,
        verdict,
        profile: 'tests',
        checks: [],
        reasons: [],
      }),
    reverted: (offset: number, rollback_id: string, to?: string) =>
      at(offset, 'dats.artifact.reverted', artifact_id, { ...about, rollback_id, ...(to === undefined ? {} : { to }) }),
    restored: (offset: number, rollback_id: string) =>
      at(offset, 'dats.artifact.restored', artifact_id, { ...about, rollback_id, mark: 'clean' }),
  };
};
