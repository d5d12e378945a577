// For tests: a small server of cascades, rollbacks and a project's state. What comes in and what goes out has the shapes of schemas/cascade-api.ts.
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import {
  type CascadeAnswer,
  cascadeAnswerSchema,
  cascadeCancelSchema,
  cascadeListSchema,
  cascadeViewSchema,
  type DatsEvent,
  type Impact,
  type ImpactNode,
  impactAnswerSchema,
  type ProjectState,
  projectStateSchema,
  type RollbackPlan,
  type RollbackView,
  rejectTaskAnswerSchema,
  rejectTaskSchema,
  rollbackAnswerSchema,
  rollbackListSchema,
  rollbackSchema,
  rollbackViewSchema,
  securityAlertAnswerSchema,
  securityAlertSchema,
  taintAnswerSchema,
  taintSchema,
  type Version,
} from '../../../schemas/index.js';
import { anEvent, answerJson, type Handler, sseOf } from '../../testing.js';

export const AT = '2026-11-21T10:00:00.000Z';
export const LATER = '2026-11-21T10:00:02.500Z';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const aVersion = (id: string, text: string, over: Partial<Version> = {}): Version => ({
  artifact_id: id,
  task_id: 't1',
  sha256: sha256(text),
  made_at: AT,
  mark: 'clean',
  ...over,
});
export const anImpact = (over: Partial<Impact> = {}): Impact => ({
  project_id: 'p',
  roots: 1,
  artifacts: 3,
  tasks: 2,
  open_tasks: 1,
  paths: 3,
  depth: 2,
  by_depth: [1, 1, 1],
  by_mark: { clean: 3, suspect: 0, tainted: 0 },
  forecast: { executions: 2, tokens: 12_345, model_ms: 34_200, cost_usd: 0.12, unpriced: 1 },
  cut: false,
  ...over,
});
export const aNode = (id: string, depth: number, via: string | null, over: Partial<ImpactNode> = {}): ImpactNode => ({
  artifact_id: id,
  task_id: 't1',
  path: `src/${id}.ts`,
  depth,
  via,
  edge: via === null ? null : 'derived',
  mark: 'clean',
  head: true,
  model: 'm',
  ...over,
});
export const aCascade = (over: Partial<CascadeAnswer> = {}): CascadeAnswer => ({
  cascade_id: 'c1',
  project_id: 'p',
  recall_id: null,
  state: 'completed',
  trigger: 'request',
  selector: { artifact_id: 'a' },
  reason: 'bad precedence',
  by: 'ada',
  roots: 1,
  reach: { artifacts: 3, tasks: 2, depth: 2 },
  tainted: 2,
  suspect: 0,
  cleared: 1,
  already_tainted: 0,
  remaining: 0,
  depth: 2,
  requested_at: AT,
  completed_at: LATER,
  detail: null,
  first_offset: 7,
  last_offset: 14,
  marks: [],
  truncated: false,
  ...over,
});
export const aRollback = (over: Partial<RollbackView> = {}): RollbackView => ({
  rollback_id: 'r1',
  project_id: 'p',
  state: 'completed',
  target: { kind: 'cascade', cascade_id: 'c1' },
  tasks: 'close',
  reason: 'rolled back by the user',
  by: 'ada',
  paths: 2,
  affected_tasks: 1,
  reverted: 2,
  restored: 0,
  skipped: 0,
  tasks_closed: 1,
  tasks_requeued: 0,
  config_then: null,
  config_now: 'v2',
  requested_at: AT,
  completed_at: LATER,
  detail: null,
  first_offset: 20,
  last_offset: 25,
  ...over,
});
export const aPlan = (over: Partial<RollbackPlan> = {}): RollbackPlan => ({
  project_id: 'p',
  target: { kind: 'cascade', cascade_id: 'c1' },
  changes: [],
  tasks: [],
  config_then: null,
  config_now: 'v2',
  ...over,
});
export const aState = (over: Partial<ProjectState> = {}): ProjectState => ({
  project_id: 'p',
  at: null,
  position: 'p0-17',
  time: AT,
  config_version: 'v1',
  events: 18,
  files: [],
  tasks: [],
  counts: {},
  ...over,
});

const marked = { cascade_id: 'c1', task_id: 't1' };
/** A root, what was made from it and fails again, and what was made from that and passes. */
export const CASCADE_EVENTS: readonly DatsEvent[] = [
  anEvent('dats.artifact.tainted', 'a', { ...marked, artifact_id: 'a', path: 'src/a.ts', depth: 0, cause: 'root', reason: 'named' }, AT),
  anEvent('dats.artifact.suspect', 'b', { ...marked, artifact_id: 'b', path: 'src/b.ts', depth: 1, via: 'a', edge: 'informed' }, AT),
  anEvent(
    'dats.cascade.progressed',
    'c1',
    { cascade_id: 'c1', tainted: 1, suspect: 1, cleared: 0, already_tainted: 0, depth: 1, remaining: 1 },
    AT,
  ),
  anEvent(
    'dats.artifact.revalidated',
    'b',
    { ...marked, artifact_id: 'b', attempt: 1, verdict: 'cleared', profile: 'tests', checks: [], reasons: ['its tests pass without it'] },
    LATER,
  ),
  anEvent(
    'dats.cascade.completed',
    'c1',
    { cascade_id: 'c1', outcome: 'completed', tainted: 1, suspect: 0, cleared: 1, already_tainted: 0, depth: 1, duration_ms: 2_500 },
    LATER,
  ),
];

export interface Recovery {
  readonly impacts: readonly Impact[];
  readonly nodes: readonly ImpactNode[];
  readonly cascade: CascadeAnswer;
  readonly events: readonly DatsEvent[];
  readonly plan: RollbackPlan;
  /** One look after another; the last stays. */
  readonly rollbacks: readonly RollbackView[];
  /** By project; another has nothing. @param at of the query */
  readonly state: (project: string, at: string | null) => ProjectState | undefined;
  /** What history knows of a path: projects; undefined: there is no history. */
  readonly history: readonly string[] | undefined;
  /** By artifact. */
  readonly contents: Readonly<Record<string, string>>;
  /** What an alert or a rejection begins. */
  readonly begins: string | null;
}

const problem = (type: string, status: number, detail: string, retryable = false) => ({
  type: `/problems/${type}`,
  title: 'Title',
  status,
  detail,
  correlation_id: 'c',
  retryable,
});

export const recoveryServer = (over: Partial<Recovery> = {}): Handler => {
  const having: Recovery = {
    impacts: [anImpact()],
    nodes: [],
    cascade: aCascade(),
    events: CASCADE_EVENTS,
    plan: aPlan(),
    rollbacks: [aRollback()],
    state: () => undefined,
    history: undefined,
    contents: {},
    begins: null,
    ...over,
  };
  let looks = 0;
  return (request, response, body) => {
    const url = new URL(request.url ?? '', 'http://x');
    const route = `${request.method} ${url.pathname.replace('/api/v1', '')}`;
    const json = (): unknown => JSON.parse(body);
    const answer = <S extends z.ZodType>(status: number, schema: S, value: z.input<S>): void =>
      answerJson(response, status, schema.parse(value));
    const look = (): RollbackView => having.rollbacks[Math.min(looks++, having.rollbacks.length - 1)]!;
    const [, kind, id = '', rest] = url.pathname.replace('/api/v1', '').split('/');
    if (route === 'POST /taint') {
      const { dry_run } = taintSchema.parse(json());
      const cascades = having.impacts.map((impact, i) => ({
        cascade_id: dry_run ? null : `c${i + 1}`,
        project_id: impact.project_id,
        impact,
      }));
      answer(dry_run ? 200 : 202, taintAnswerSchema, { dry_run, recall_id: dry_run ? null : 'r', cascades });
    } else if (kind === 'impact')
      answer(200, impactAnswerSchema, { id, impact: having.impacts[0]!, nodes: [...having.nodes], truncated: false, took_ms: 1.4 });
    else if (route === 'GET /cascades') answer(200, cascadeListSchema, { cascades: [having.cascade] });
    else if (kind === 'cascades' && rest === 'events')
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(
          having.events
            .map((event, i) =>
              sseOf(
                7 + i,
                event.type === 'dats.cascade.completed' ? ({ ...event, data: { ...event.data, cascade_id: id } } as DatsEvent) : event,
              ),
            )
            .join(''),
        );
    else if (kind === 'cascades' && rest === 'cancel') {
      cascadeCancelSchema.parse(json());
      answer(202, cascadeViewSchema, { ...having.cascade, cascade_id: id, state: 'cancelling', completed_at: null });
    } else if (kind === 'cascades') answer(200, cascadeAnswerSchema, { ...having.cascade, cascade_id: id });
    else if (route === 'POST /rollback') {
      const { dry_run } = rollbackSchema.parse(json());
      answer(dry_run ? 200 : 202, rollbackAnswerSchema, { dry_run, rollback_id: dry_run ? null : 'r1', plan: having.plan });
    } else if (route === 'GET /rollbacks') answer(200, rollbackListSchema, { rollbacks: [look()] });
    else if (kind === 'rollbacks') answer(200, rollbackViewSchema, look());
    else if (kind === 'projects' && rest === 'state') {
      const state = having.state(id, url.searchParams.get('at'));
      if (state === undefined) answerJson(response, 404, problem('project-not-found', 404, `project "${id}" has no task`));
      else answer(200, projectStateSchema, state);
    } else if (kind === 'provenance') {
      if (having.history === undefined) answerJson(response, 501, problem('analytics-off', 501, 'no history is kept'));
      else {
        const path = url.searchParams.get('q');
        answerJson(response, 200, {
          executions: having.history.map((project_id) => ({ project_id, artifacts: [{ path }] })),
          next_cursor: null,
        });
      }
    } else if (route === 'POST /security-alerts') {
      securityAlertSchema.parse(json());
      answer(202, securityAlertAnswerSchema, { alert_id: 'al1', project_id: 'p', cascade_id: having.begins });
    } else if (kind === 'tasks' && rest === 'reject') {
      rejectTaskSchema.parse(json());
      answer(202, rejectTaskAnswerSchema, { task_id: id, attempt: 2, cascade_id: having.begins });
    } else if (kind === 'artifacts') {
      const text = having.contents[id];
      if (text === undefined) answerJson(response, 404, problem('artifact-not-found', 404, 'its bytes are gone'));
      else response.end(text);
    } else answerJson(response, 404, problem('not-found', 404, route));
  };
};
