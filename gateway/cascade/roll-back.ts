// What is asked to be taken back: its project, its target as a rollback understands it, the plan, and the event that begins it.
import canonicalize from 'canonicalize';
import { configBefore, type Plan, type Project, planOf, type Rollback, refusalOf } from '../../processors/cascade/index.js';
import {
  derivedId,
  LIFECYCLE,
  partitionOf,
  type RollbackAnswer,
  type RollbackBody,
  type RollbackPlan,
  type RollbackTarget,
} from '../../schemas/index.js';
import { ANONYMOUS, type Requester } from '../commands.js';
import { checkHere, toHome } from '../link/index.js';
import { invalid, refuse } from '../problem.js';
import { saidEvent } from '../said.js';
import type { Services } from '../services.js';
import { cascadeOf, checkSubject, homeOf, projectOf, rollbackOf } from './home.js';
import { requestIdOf, reused } from './keyed-requests.js';
import { projectAt } from './past.js';
import { cutAt, PLACE_SAYS, placeOf } from './place.js';
import { planShown } from './shown.js';

interface Aim {
  readonly project: Project;
  readonly target: RollbackTarget;
}

/** @throws Fault `validation_failed`, `project_not_found`, `event_not_found`, `cascade_not_found`, `task_not_found`, `rollback_not_found`, and of log and views */
const aimOf = async (services: Services, body: RollbackBody, signal: AbortSignal): Promise<Aim> => {
  if (body.to !== undefined) return aimAt(services, body.project_id!, body.to, signal);
  const { project, target } = await named(services, body);
  if (body.project_id !== undefined && body.project_id !== project.id)
    throw invalid([{ path: ['project_id'], message: `what is to be taken back is of project "${project.id}"` }]);
  return { project, target };
};

const named = async (services: Services, { cascade_id, task_id, rollback_id }: RollbackBody): Promise<Aim> => {
  if (cascade_id !== undefined)
    return { project: (await cascadeOf(services, cascade_id)).project, target: { kind: 'cascade', cascade_id } };
  if (rollback_id !== undefined)
    return { project: (await rollbackOf(services, rollback_id)).project, target: { kind: 'rollback', rollback_id } };
  return { project: (await homeOf(services, { task_id }))!, target: { kind: 'task', task_id: task_id! } };
};

const aimAt = async (services: Services, projectId: string, to: string, signal: AbortSignal): Promise<Aim> => {
  const { log } = services.deps;
  const place = placeOf(to);
  if (place === undefined) throw invalid([{ path: ['to'], message: PLACE_SAYS }]);
  const project = await projectOf(services, projectId);
  // Its home counts by its own log.
  await checkHere(services.deps, projectId, 'a rollback to a place in its history');
  const partition = partitionOf(projectId, log.partitions(LIFECYCLE));
  const { end } = await log.range(LIFECYCLE, partition);
  const { before } = await cutAt(log, { partition, projectId, first: project.firstOffset, end }, place, signal);
  return { project, target: { kind: 'offset', offset: before, said: to } };
};

/** @throws Fault `rollback_not_over` where the target is an earlier one that goes on */
const checkTarget = (project: Project, target: RollbackTarget): void => {
  if (target.kind === 'task') checkSubject(project, target);
  const refusal = refusalOf(project, target);
  if (refusal !== undefined) throw refuse('rollback_not_over', refusal);
};

const plannedFrom = (project: Project, { target }: Aim, plan: Plan, configNow: string): RollbackPlan =>
  planShown(project, target, plan, { before: target.kind === 'offset' ? configBefore(project, target.offset) : undefined, now: configNow });

export interface RollbackOutcome {
  readonly answer: RollbackAnswer;
  readonly replayed: boolean;
}

export const rollBack = async (
  services: Services,
  body: RollbackBody,
  requester: Requester,
  key: string | undefined,
  signal: AbortSignal,
): Promise<RollbackOutcome> => {
  const aim = await aimOf(services, body, signal);
  if (body.dry_run) return { answer: { dry_run: true, rollback_id: null, plan: planNow(services, aim, body) }, replayed: false };
  const { by = ANONYMOUS } = body;
  const rollbackId = requestIdOf(key, 'rollback', aim.project.id, by);
  if (key === undefined) return begin(services, aim, body, { requester, rollbackId });
  return services.inTurn(rollbackId, async () => {
    // Asked anew: somebody with the same key may have been before.
    const project = await projectOf(services, aim.project.id);
    const earlier = project.rollbacks.get(rollbackId);
    if (earlier === undefined) return begin(services, { ...aim, project }, body, { requester, rollbackId });
    return { answer: await earlierAnswer(services, project, earlier, { aim, body, signal }), replayed: true };
  });
};

const planNow = ({ deps }: Services, aim: Aim, body: RollbackBody): RollbackPlan => {
  const { project, target } = aim;
  checkTarget(project, target);
  return plannedFrom(project, aim, planOf(project, target, body.tasks, project.lastOffset), deps.settings.current().version);
};

const begin = async (
  services: Services,
  aim: Aim,
  body: RollbackBody,
  { requester, rollbackId }: { readonly requester: Requester; readonly rollbackId: string },
): Promise<RollbackOutcome> => {
  const plan = planNow(services, aim, body);
  const { tasks, reason, by = ANONYMOUS } = body;
  const data = { rollback_id: rollbackId, target: aim.target, tasks, reason, by };
  const saying = { projectId: aim.project.id, by, eventId: derivedId(rollbackId, 'requested'), requester };
  await services.deps.log.append([await toHome(services.deps, saidEvent(services, 'dats.rollback.requested', rollbackId, data, saying))]);
  return { answer: { dry_run: false, rollback_id: rollbackId, plan }, replayed: false };
};

/** The plan as it was when it was asked for first. @throws Fault `idempotency_key_reused` */
const earlierAnswer = async (
  { deps }: Services,
  project: Project,
  earlier: Rollback,
  { aim, body, signal }: { readonly aim: Aim; readonly body: RollbackBody; readonly signal: AbortSignal },
): Promise<RollbackAnswer> => {
  const { id, target, tasks, firstOffset, configNow } = earlier;
  if (earlier.reason !== body.reason || tasks !== body.tasks || canonicalize(target) !== canonicalize(aim.target)) throw reused();
  const partition = partitionOf(project.id, deps.log.partitions(LIFECYCLE));
  const then = await projectAt(deps.log, { partition, projectId: project.id, first: project.firstOffset, until: firstOffset }, signal);
  return {
    dry_run: false,
    rollback_id: id,
    plan: plannedFrom(then, { project: then, target }, planOf(then, target, tasks, firstOffset), configNow),
  };
};
