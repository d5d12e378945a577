// Taking tasks: validate -> store what is large -> append (durable) -> answer.
//
// T1. What was answered 202 is in the log on disk, and the next GET sees it (reads.ts). T2. A refusal leaves nothing but harmless claim checks behind.
// T3. One Idempotency-Key of one submitter in one project makes one task: the task id is derived from the key, racing requests of this process share
// one submission, and what another process appended is compared through the log. T4. What is kept for T3 is bounded. T5. A submission needs the log only:
// views and limiter may be away. But what it names (dependencies, inputs, an Idempotency-Key that this process does not remember) has to be looked up.

import type { z } from 'zod';
import { inlineContent, storeText } from '../processors/index.js';
import { maxRunning } from '../processors/scheduling/index.js';
import {
  type ArtifactRef,
  type acceptedSchema,
  derivedId,
  type EventOf,
  Fault,
  LIFECYCLE,
  newId,
  partitionOf,
  type SubmitTask,
} from '../schemas/index.js';
import { eventOf } from '../streams/index.js';
import type { Backlog } from './backlog.js';
import { ANONYMOUS, createdEvent, fingerprintOfBody, fingerprintOfCreated, misfitsOf, type Requester } from './commands.js';
import type { GatewayDeps } from './deps.js';
import { forwardedTask, keepForwarded } from './link/forwarded.js';
import { allToHome, homeElsewhere } from './link/to-home.js';
import { invalid, type Misfit, refuse } from './problem.js';
import type { RateGate } from './rate-limit.js';
import { findTask, findTasks, type Sources, storedArtifacts } from './reads.js';

export type Accepted = z.infer<typeof acceptedSchema>;
export type Created = EventOf<'dats.task.created'>;

/** Keyed submissions whose answers are remembered word for word. */
const REMEMBERED_LIMIT = 10_000;

interface Remembered {
  readonly fingerprint: string;
  readonly answer: Promise<Accepted>;
}

/** A task that is ready to be appended. */
export interface Ready {
  readonly event: Created;
  /** Open tasks of the project before it; null where that is not known. */
  readonly position: number | null;
  readonly estimatedCompletion: string | null;
}

/** What a batch knows of one of its items. */
export interface PartOfBatch {
  /** Instead of the body's. */
  readonly dependsOn: readonly string[];
  /** Those of them that are in the project or will be, with this batch. */
  readonly present: ReadonlySet<string>;
}

export interface Submissions {
  submit(body: SubmitTask, requester: Requester): Promise<Accepted>;
  submitOnce(body: SubmitTask, requester: Requester, key: string): Promise<{ readonly accepted: Accepted; readonly replayed: boolean }>;
  /** Everything before the append. */
  prepare(body: SubmitTask, requester: Requester, taskId: string, batch?: PartOfBatch, eventId?: string): Promise<Ready>;
  /** Those of the tasks that are in the project. */
  present(projectId: string, taskIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Appends all or none; they are on disk when it resolves. */
  commit(ready: readonly Ready[]): Promise<readonly Accepted[]>;
}

export const createSubmissions = (deps: GatewayDeps & Sources, backlog: Backlog, rate: RateGate): Submissions => {
  const { log, artifacts, config, now } = deps;
  const models = new Set(config.models.map((model) => model.id));
  const remembered = new Map<string, Remembered>();

  const admit = async (projectId: string) => {
    const load = await backlog.of(projectId);
    const limit = config.gateway.max_open_tasks_per_project;
    if (load.open >= limit)
      throw refuse(
        'too_many_open_tasks',
        `project "${projectId}" has ${load.open} open tasks, the limit is ${limit} (gateway.max_open_tasks_per_project)`,
      );
    return load;
  };

  const estimate = (body: SubmitTask, at: number, typicalMs: number | null, position: number): string | null => {
    if (typicalMs === null) return deps.agents.estimate(body).estimated_completion;
    const lanes = maxRunning(deps.settings.current().scheduling, body.project_id);
    return new Date(at + typicalMs * (1 + Math.floor(position / lanes))).toISOString();
  };

  const store = (text: string) => inlineContent(text) ?? storeText(artifacts, text);

  const present: Submissions['present'] = async (projectId, taskIds) => {
    const found = await findTasks(deps, taskIds, projectId);
    const here = new Set(taskIds.filter((id) => found.get(id)?.project_id === projectId));
    // Taken here for another node, which has said nothing of it yet.
    for (const id of taskIds) if (!here.has(id) && (await forwardedTask(deps.views, id))?.project_id === projectId) here.add(id);
    return here;
  };

  const prepare: Submissions['prepare'] = async (body, requester, taskId, batch, eventId = newId()) => {
    await refuseWhereCordoned(deps, body.project_id);
    const at = now();
    const dependsOn = batch?.dependsOn ?? body.depends_on;
    const misfits = [...misfitsOf(body, taskId, at, models)];
    const unknown = await isUnknownHere(deps, body.project_id);
    if (unknown && body.inputs.length > 0)
      misfits.push({ path: ['inputs'], message: `what project "${body.project_id}" made is not here; submit it at node ${unknown}` });
    else if (dependsOn.length > 0 && !unknown)
      misfits.push(...missingTasks(body.project_id, dependsOn, batch?.present ?? (await present(body.project_id, dependsOn))));
    const inputs = body.inputs.length > 0 && !unknown ? await resolveInputs(deps, body.project_id, body.inputs, misfits) : [];
    if (misfits.length > 0) throw invalid(misfits);
    const load = await admit(body.project_id);
    const before = load.open++;
    const position = load.known ? before : null;
    try {
      const files = [];
      for (const { path, content } of body.files) files.push({ path, ...(await store(content)) });
      const description = await store(body.description);
      const testsCode = body.tests === undefined ? undefined : await store(body.tests.code);
      const event = createdEvent({
        body,
        taskId,
        eventId,
        description,
        files,
        testsCode,
        inputs,
        dependsOn,
        requester,
        now: at,
        configVersion: deps.settings.current().version,
      });
      return { event, position, estimatedCompletion: estimate(body, at, load.typicalMs, before) };
    } catch (error) {
      load.open--;
      throw error;
    }
  };

  const commit: Submissions['commit'] = async (ready) => {
    const sent = await allToHome(
      deps,
      ready.map(({ event }) => event),
    );
    await log.append(sent.map(({ record }) => record));
    const forwarded = ready.flatMap(({ event }, i) => {
      const { home } = sent[i]!;
      return home === undefined ? [] : [{ task_id: event.data.task_id, project_id: event.projectid, home }];
    });
    await keepForwarded(deps.views, forwarded);
    return ready.map((one, i) => ({ ...acceptedOf(one), ...(sent[i]!.home === undefined ? {} : { home: sent[i]!.home }) }));
  };

  const submitAs = async (body: SubmitTask, requester: Requester, taskId: string, eventId?: string): Promise<Accepted> => {
    if (rate.limit !== undefined) await rate.take(body.project_id, 1);
    const ready = await prepare(body, requester, taskId, undefined, eventId);
    return (await commit([ready]))[0]!;
  };

  const remember = (taskId: string, entry: Remembered) => {
    remembered.set(taskId, entry);
    entry.answer.catch(() => remembered.delete(taskId));
    if (remembered.size <= REMEMBERED_LIMIT) return;
    const oldest = remembered.keys().next();
    if (!oldest.done) remembered.delete(oldest.value);
  };

  return {
    prepare,
    present,
    commit,
    submit: (body, requester) => submitAs(body, requester, newId()),
    submitOnce: async (body, requester, key) => {
      const taskId = derivedId(body.project_id, body.submitted_by ?? ANONYMOUS, key);
      const fingerprint = fingerprintOfBody(body);
      const known = remembered.get(taskId);
      if (known !== undefined) {
        if (known.fingerprint !== fingerprint) throw reused(key);
        return { accepted: await known.answer, replayed: true };
      }
      let replayed = false;
      const answer = (async () => {
        const earlier = await earlierAnswer(deps, { taskId, projectId: body.project_id, fingerprint, key });
        replayed = earlier !== undefined;
        // Where its first one cannot be seen, as another node decides the project, the second is the same event.
        return earlier ?? submitAs(body, requester, taskId, derivedId(taskId, 'created'));
      })();
      remember(taskId, { fingerprint, answer });
      return { accepted: await answer, replayed };
    },
  };
};

const acceptedOf = ({ event, position, estimatedCompletion }: Ready): Accepted => ({
  task_id: event.data.task_id,
  project_id: event.projectid,
  status: 'pending',
  created_at: event.time,
  estimated_completion: estimatedCompletion,
  position,
});

const reused = (key: string): Fault =>
  refuse(
    'idempotency_key_reused',
    `Idempotency-Key "${key.slice(0, 80)}" was used before with another body; use a new key for another task`,
  );

/** The answer to a submission that this process does not remember, from its view and its event. */
const earlierAnswer = async (
  deps: GatewayDeps & Sources,
  {
    taskId,
    projectId,
    fingerprint,
    key,
  }: { readonly taskId: string; readonly projectId: string; readonly fingerprint: string; readonly key: string },
): Promise<Accepted | undefined> => {
  const view = await findTask(deps, taskId, projectId);
  if (view === undefined) return undefined;
  const partition = partitionOf(view.project_id, deps.log.partitions(LIFECYCLE));
  const record = await deps.log.get({ topic: LIFECYCLE, partition, offset: view.first_offset });
  const event = record === undefined ? undefined : eventOf(record);
  if (event?.type !== 'dats.task.created' || event.data.task_id !== taskId)
    throw new Fault(
      'terminal',
      'event_missing',
      `the log does not hold the event that created task ${taskId} at ${partition}/${view.first_offset}`,
    );
  if (fingerprintOfCreated(event.data) !== fingerprint) throw reused(key);
  return {
    task_id: taskId,
    project_id: view.project_id,
    status: 'pending',
    created_at: view.created_at,
    estimated_completion: view.estimated_completion,
    position: null,
  };
};

/** What is decided elsewhere is taken all the same: it goes there. @throws Fault `node_cordoned` */
const refuseWhereCordoned = async (deps: GatewayDeps, projectId: string): Promise<void> => {
  const state = deps.admission?.() ?? 'open';
  if (state === 'open' || (await homeElsewhere(deps, projectId)) !== undefined) return;
  const { id } = deps.config.node;
  throw refuse(
    'node_cordoned',
    `node "${id}" takes no new work (it is ${state}); dats node uncordon ${id} opens it again, and dats project move brings project "${projectId}" to another node`,
  );
};

/** The home of a project of which nothing is known here: edge nodes have no copies of what others decide. */
const isUnknownHere = async (deps: GatewayDeps, projectId: string): Promise<string | undefined> =>
  deps.nodes === undefined || deps.nodes.core?.id === deps.nodes.self ? undefined : homeElsewhere(deps, projectId);

const missingTasks = (projectId: string, ids: readonly string[], present: ReadonlySet<string>): Misfit[] =>
  ids.flatMap((id, i) => (present.has(id) ? [] : [{ path: ['depends_on', i], message: `no task "${id}" in project "${projectId}"` }]));

const resolveInputs = async (
  deps: GatewayDeps & Sources,
  projectId: string,
  ids: readonly string[],
  misfits: Misfit[],
): Promise<ArtifactRef[]> => {
  const found = await storedArtifacts(deps, ids, projectId);
  const refs: ArtifactRef[] = [];
  for (const [i, id] of ids.entries()) {
    const view = found.get(id);
    if (view?.project_id !== projectId) misfits.push({ path: ['inputs', i], message: `no artifact "${id}" in project "${projectId}"` });
    else refs.push({ artifact_id: id, task_id: view.task_id, path: view.path, sha256: view.sha256, at: view.at });
  }
  return refs;
};
