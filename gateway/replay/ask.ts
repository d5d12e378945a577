// Asking for a replay, and looking at one.
//
// A1. The request and its work item are one append: both or none. A2. One Idempotency-Key of one asker in one project makes one replay: its id is derived from the key;
// requests of this process with the same id wait for each other, and what another process appended is found in the log.
// Where two processes append at once, the first of the two requests in the log counts. A3. A key is compared by the body as it was sent.
import { loadText } from '../../processors/index.js';
import { Fault, LIFECYCLE, partitionOf, type ReplayAccepted, type ReplayReport, type ReplayView } from '../../schemas/index.js';
import { eventOf } from '../../streams/index.js';
import type { Requester } from '../commands.js';
import type { GatewayDeps } from '../deps.js';
import { checkAlwaysHere } from '../link/index.js';
import { invalid, type Misfit, refuse } from '../problem.js';
import { type HeldReplay, replaysOf } from './replays.js';
import { digestOf, type ReplayBody, type ReplayRequest, recordsOf, replayIdOf, requestOf } from './request.js';

type Deps = Pick<GatewayDeps, 'log' | 'views' | 'artifacts' | 'config' | 'settings' | 'now'> & Partial<Pick<GatewayDeps, 'nodes'>>;

/** Models that would have to answer, and are not configured. */
const misfitsOf = ({ config }: Deps, { grade, changes }: ReplayBody): readonly Misfit[] => {
  if (grade === 'policy') return [];
  const known = new Set(config.models.map(({ id }) => id));
  const named = [
    { path: ['changes', 'model'], model: changes.model },
    ...(changes.routing ?? []).map(({ model }, i) => ({ path: ['changes', 'routing', i, 'model'], model })),
  ];
  return named.flatMap(({ path, model }) =>
    model === undefined || known.has(model)
      ? []
      : [{ path, message: `no model "${model.slice(0, 80)}" is configured; GET /api/v1/models lists those there are` }],
  );
};

const acceptedOf = (
  project_id: string,
  { replay_id, grade, slice }: Pick<ReplayRequest, 'replay_id' | 'grade' | 'slice'>,
): ReplayAccepted => ({
  replay_id,
  project_id,
  state: 'requested',
  grade,
  slice,
});

/** Requests under a key that are being appended, by id. */
const asking = new Map<string, Promise<unknown>>();

export interface Asked {
  readonly accepted: ReplayAccepted;
  readonly replayed: boolean;
}

/** @throws Fault `decided_elsewhere`, `validation_failed`, `idempotency_key_reused`, and those of the log. */
export const askReplay = async (deps: Deps, body: ReplayBody, requester: Requester, key: string | undefined): Promise<Asked> => {
  await checkAlwaysHere(deps, body.project_id, 'replays');
  const misfits = misfitsOf(deps, body);
  if (misfits.length > 0) throw invalid(misfits);
  const replayId = replayIdOf(body, key);
  const before = asking.get(replayId) ?? Promise.resolve();
  const mine = before.catch(() => undefined).then(() => askOnce(deps, body, requester, replayId, key));
  asking.set(replayId, mine);
  try {
    return await mine;
  } finally {
    if (asking.get(replayId) === mine) asking.delete(replayId);
  }
};

const askOnce = async (deps: Deps, body: ReplayBody, requester: Requester, replayId: string, key: string | undefined): Promise<Asked> => {
  const { log, now, settings } = deps;
  const { project_id: projectId } = body;
  // Before it is looked whether the replay is there: a request that another process appends meanwhile then stands behind, where the work item looks for it.
  const { end } = await log.range(LIFECYCLE, partitionOf(projectId, log.partitions(LIFECYCLE)));
  const known = key === undefined ? undefined : await replaysOf(log).find(projectId, replayId);
  if (known !== undefined) {
    if (known.bodySha256 !== digestOf(body))
      throw refuse('idempotency_key_reused', `Idempotency-Key "${key!.slice(0, 80)}" was used before for another replay; use a new key`);
    return { accepted: acceptedOf(projectId, known.row), replayed: true };
  }
  const request = await requestOf(log, body, replayId, now(), key);
  await log.append(recordsOf({ projectId, request, requester, end, now: now(), configVersion: settings.current().version }));
  return { accepted: acceptedOf(projectId, request), replayed: false };
};

const reportOf = async ({ log, artifacts }: Deps, projectId: string, offset: number) => {
  const partition = partitionOf(projectId, log.partitions(LIFECYCLE));
  const record = await log.get({ topic: LIFECYCLE, partition, offset });
  const event = record && eventOf(record);
  if (event?.type !== 'dats.replay.completed')
    throw new Fault('terminal', 'event_missing', `the log does not hold the end of the replay at ${partition}/${offset} any more`);
  const report = JSON.parse(await loadText(artifacts, event.data.report)) as ReplayReport;
  return { duration_ms: event.data.duration_ms, report };
};

/** @throws Fault `not_found`. */
export const lookAtReplay = async (deps: Deps, projectId: string, replayId: string): Promise<ReplayView> => {
  const found: HeldReplay | undefined = await replaysOf(deps.log).find(projectId, replayId);
  if (found === undefined) throw refuse('not_found', `there is no replay "${replayId}" of project "${projectId}"`);
  const told = found.completed === undefined ? { duration_ms: null, report: null } : await reportOf(deps, projectId, found.completed);
  return { ...found.row, ...told };
};
