// Cascades, rollbacks, plans and versions as the API shows them. Pure.
import {
  type Cascade,
  type CascadeMark,
  NONE,
  type Plan,
  type Project,
  type Rollback,
  remainingOf,
  suspectsOf,
} from '../../processors/cascade/index.js';
import { isoOf } from '../../processors/index.js';
import type { CascadeAnswer, CascadeView, RollbackPlan, RollbackTarget, RollbackView, Version } from '../../schemas/index.js';

/** Marks that an answer lists. */
const MARKS_LISTED = 1_000;

const timeOf = (ms: number | undefined): string | null => (ms === undefined ? null : isoOf(ms));

/** What it had marked suspect stays so when it was cancelled, though nothing waits for a check any more. */
const suspectIn = (cascade: Cascade): number =>
  cascade.state === 'cancelled' ? [...cascade.marks.values()].filter(({ state }) => state === 'suspect').length : suspectsOf(cascade);

export const cascadeShown = (cascade: Cascade): CascadeView => ({
  cascade_id: cascade.id,
  project_id: cascade.project,
  recall_id: cascade.recallId ?? null,
  state: cascade.state,
  trigger: cascade.trigger,
  selector: cascade.selector,
  reason: cascade.reason,
  by: cascade.by,
  roots: cascade.roots,
  reach: cascade.reach,
  tainted: cascade.tainted,
  suspect: suspectIn(cascade),
  cleared: cascade.cleared,
  already_tainted: cascade.alreadyTainted,
  remaining: remainingOf(cascade),
  depth: cascade.depth,
  requested_at: isoOf(cascade.requestedMs),
  completed_at: timeOf(cascade.completedMs),
  detail: cascade.detail ?? null,
  first_offset: cascade.firstOffset,
  last_offset: cascade.lastOffset,
});

const markShown = ({ graph }: Project, index: number, mark: CascadeMark): CascadeAnswer['marks'] => {
  const fact = graph.factAt(index);
  if (fact === undefined) return [];
  const { artifact_id, task_id, path } = fact;
  const { depth, state, via, verdict = null } = mark;
  return [{ artifact_id, task_id, path, depth, state, via: via === undefined || via < 0 ? null : graph.idOf(via), verdict }];
};

export const cascadeAnswer = (project: Project, cascade: Cascade): CascadeAnswer => {
  const marks: CascadeAnswer['marks'] = [];
  for (const [index, mark] of cascade.marks) {
    if (marks.length === MARKS_LISTED) break;
    marks.push(...markShown(project, index, mark));
  }
  return { ...cascadeShown(cascade), marks, truncated: cascade.marks.size > MARKS_LISTED };
};

export const rollbackShown = (rollback: Rollback): RollbackView => ({
  rollback_id: rollback.id,
  project_id: rollback.project,
  state: rollback.state,
  target: rollback.target,
  tasks: rollback.tasks,
  reason: rollback.reason,
  by: rollback.by,
  paths: rollback.paths,
  affected_tasks: rollback.affectedTasks,
  reverted: rollback.reverted,
  restored: rollback.restored,
  skipped: rollback.skipped,
  tasks_closed: rollback.tasksClosed,
  tasks_requeued: rollback.tasksRequeued,
  config_then: rollback.configThen ?? null,
  config_now: rollback.configNow,
  requested_at: isoOf(rollback.requestedMs),
  completed_at: timeOf(rollback.completedMs),
  detail: rollback.detail ?? null,
  first_offset: rollback.firstOffset,
  last_offset: rollback.lastOffset,
});

/** An artifact as a version of its path; null: none. */
export const versionShown = ({ graph, marks }: Project, index: number): Version | null => {
  const fact = index === NONE ? undefined : graph.factAt(index);
  if (fact === undefined) return null;
  const { artifact_id, task_id, sha256, time_ms } = fact;
  return { artifact_id, task_id, sha256, made_at: isoOf(time_ms), mark: marks.of(index) };
};

export const planShown = (
  project: Project,
  target: RollbackTarget,
  plan: Plan,
  configs: { readonly before: string | undefined; readonly now: string },
): RollbackPlan => ({
  project_id: project.id,
  target,
  changes: plan.steps.map(({ path, from, to }) => ({ path, from: versionShown(project, from), to: versionShown(project, to) })),
  tasks: plan.tasks.map(({ id, state, action }) => ({ task_id: id, state, action })),
  config_then: configs.before ?? null,
  config_now: configs.now,
});
