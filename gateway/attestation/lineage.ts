// Artifacts and what they were made from, upwards, as a PROV document. Each consumed artifact names where its event stands, so every step is a direct read.
//
// U1. Breadth first, each artifact once. U2. What lies deeper, or above the limit, is named by those that consumed it, and says that its lineage is not included.
import { type Ancestor, type At, provDocumentOf } from '../../processors/attestation/index.js';
import { Fault, type ProvDocument, type TaskView } from '../../schemas/index.js';
import { findTasks, type Sources } from '../reads.js';
import { eventAt, partitionFor, readStandings } from './reading.js';
import { artifactsOf } from './which.js';

/** Artifacts in one document. */
const ARTIFACTS_LIMIT = 1_000;
/** Plans within plans. */
const GENERATIONS_LIMIT = 20;

interface Bounds {
  /** Steps upwards. */
  readonly depth: number;
  /** Default ARTIFACTS_LIMIT. */
  readonly artifacts?: number;
}

type Found = Omit<Ancestor, 'standing'>;

type Tasks = Map<string, TaskView>;
interface Step {
  readonly artifact_id: string;
  readonly at: number;
}

/** Takes tasks into `tasks`, and those that they are part of. */
const findFamilies = async (sources: Sources, tasks: Tasks, ids: readonly string[], projectId: string): Promise<void> => {
  let wanted = ids;
  for (let generation = 0; generation < GENERATIONS_LIMIT; generation++) {
    const missing = [...new Set(wanted)].filter((id) => !tasks.has(id));
    if (missing.length === 0) return;
    const found = await findTasks(sources, missing, projectId);
    for (const [id, view] of found) tasks.set(id, view);
    wanted = [...found.values()].flatMap(({ parent_id }) => parent_id ?? []);
  }
};

/** A task, then what it is part of, up to what was submitted. */
const familyOf = (tasks: Tasks, id: string): readonly TaskView[] => {
  const family: TaskView[] = [];
  for (let task = tasks.get(id); task !== undefined && !family.includes(task); task = tasks.get(task.parent_id ?? '')) family.push(task);
  return family;
};

const missing = (what: string): Fault => new Fault('terminal', 'event_missing', `the log and the views do not hold ${what}`);

const ancestorOf = async (
  sources: Sources,
  tasks: Tasks,
  { artifact_id }: Step,
  output: At<'dats.task.output.created'>,
): Promise<Found> => {
  const { task_id, artifacts } = output.event.data;
  const artifact = artifacts.find((one) => one.artifact_id === artifact_id);
  if (artifact === undefined) throw missing(`artifact ${artifact_id} at offset ${output.offset}`);
  const family = familyOf(tasks, task_id);
  const [task, parent] = family;
  if (task === undefined) throw missing(`task ${task_id} of artifact ${artifact_id}`);
  const partition = partitionFor(sources, task.project_id);
  const [created, around] = await Promise.all(
    [task, parent].map((one) => (one === undefined ? undefined : eventAt(sources, partition, one.first_offset, 'dats.task.created'))),
  );
  return { artifact, output, created: created!, parent: around, submittedBy: family.at(-1)!.submitted_by };
};

const climb = async (
  sources: Sources,
  projectId: string,
  roots: readonly Step[],
  { depth, artifacts = ARTIFACTS_LIMIT }: Bounds,
): Promise<readonly Found[]> => {
  const partition = partitionFor(sources, projectId);
  const tasks: Tasks = new Map();
  const found: Found[] = [];
  const seen = new Set(roots.map(({ artifact_id }) => artifact_id));
  let steps = roots;
  for (let level = 0; level <= depth && steps.length > 0; level++) {
    const here = steps.slice(0, artifacts - found.length);
    const outputs = await Promise.all(here.map(({ at }) => eventAt(sources, partition, at, 'dats.task.output.created')));
    await findFamilies(
      sources,
      tasks,
      outputs.map(({ event }) => event.data.task_id),
      projectId,
    );
    found.push(...(await Promise.all(here.map((step, i) => ancestorOf(sources, tasks, step, outputs[i]!)))));
    steps = outputs
      .flatMap(({ event }) => event.data.consumed)
      .filter(({ artifact_id }) => !seen.has(artifact_id) && seen.add(artifact_id));
  }
  return found;
};

/** @throws Fault `artifact_not_found`, `event_missing`, and of log and views */
export const provOf = async (sources: Sources, id: string, bounds: Bounds): Promise<ProvDocument> => {
  const roots = await artifactsOf(sources, id);
  const { project_id } = roots[0]!;
  const found = await climb(sources, project_id, roots, bounds);
  const ids = found.map(({ artifact }) => artifact.artifact_id);
  const standings = await readStandings(sources, project_id, ids, Math.min(...found.map(({ output }) => output.offset)));
  return provDocumentOf(found.map((one) => ({ ...one, standing: standings.get(one.artifact.artifact_id)! })));
};
