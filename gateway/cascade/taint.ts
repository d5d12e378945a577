// What is asked to be tainted: in which projects, how far it reaches, and the events that begin it.
//
// T1. One event a project, all in one append: a recall begins everywhere or nowhere. T2. What a key began is found by ids that follow from it, in the log, so a repetition
// begins nothing anew. T3. What names nothing begins nothing.
import canonicalize from 'canonicalize';
import {
  type Cascade,
  type Impacted,
  impactOf,
  limitsOf,
  type Pricing,
  type Project,
  pricingOf,
  selected,
} from '../../processors/cascade/index.js';
import { type CascadeLimits, derivedId, type Selector, selectorShape, type TaintAnswer, type TaintBody } from '../../schemas/index.js';
import { ANONYMOUS, type Requester } from '../commands.js';
import { toHome } from '../link/index.js';
import { saidEvent } from '../said.js';
import type { Services } from '../services.js';
import { checkSubject, homeOf, projectOf } from './home.js';
import { requestIdOf, reused } from './keyed-requests.js';
import { openPauses } from './turns.js';

const FIELDS = Object.keys(selectorShape) as (keyof Selector)[];

const selectorOf = (body: TaintBody): Selector =>
  Object.fromEntries(FIELDS.flatMap((field) => (body[field] === undefined ? [] : [[field, body[field]]])));

/** @throws Fault `project_not_found`, `artifact_not_found`, `task_not_found` */
const candidates = async (services: Services, body: TaintBody): Promise<readonly Project[]> => {
  if (body.project_id === undefined) {
    const home = await homeOf(services, body);
    return home === undefined ? services.knowledge.all() : [home];
  }
  const project = await projectOf(services, body.project_id);
  checkSubject(project, body);
  return [project];
};

interface Found {
  readonly project: Project;
  readonly cascadeId: string;
  readonly impact: Impacted['impact'];
}

export interface TaintOutcome {
  readonly answer: TaintAnswer;
  /** Something was begun: now, or by an earlier request with this key. */
  readonly begun: boolean;
  readonly replayed: boolean;
}

export const taint = (services: Services, body: TaintBody, requester: Requester, key: string | undefined): Promise<TaintOutcome> => {
  const requestId = requestIdOf(key, 'taint', body.project_id ?? '', body.by ?? ANONYMOUS);
  return key === undefined || body.dry_run
    ? taintAs(services, body, requester, { requestId, keyed: false })
    : services.inTurn(requestId, () => taintAs(services, body, requester, { requestId, keyed: true }));
};

const taintAs = async (
  services: Services,
  body: TaintBody,
  requester: Requester,
  { requestId, keyed }: { readonly requestId: string; readonly keyed: boolean },
): Promise<TaintOutcome> => {
  const { config } = services.deps;
  const pricing = pricingOf(config);
  const projects = await candidates(services, body);
  // Without a project a key may have begun something in any of them.
  const known = keyed && body.project_id === undefined ? await services.knowledge.all() : projects;
  const earlier = keyed ? earlierOf(known, requestId, body, pricing) : [];
  if (earlier.length > 0) return { answer: answerOf(earlier, { ...body, requestId }), begun: true, replayed: true };
  const selector = selectorOf(body);
  const limits = limitsOf(config.cascade, body.limits);
  const found: Found[] = [];
  const pause = openPauses();
  for (const project of projects) {
    await pause();
    const roots = selected(project, selector);
    if (roots.length === 0) continue;
    found.push({ project, cascadeId: derivedId(requestId, project.id), impact: reachOf(project, roots, limits, pricing) });
  }
  const answer = answerOf(found, { ...body, requestId });
  if (body.dry_run || found.length === 0) return { answer, begun: false, replayed: false };
  const { reason, by = ANONYMOUS } = body;
  const recall = found.length > 1 ? { recall_id: requestId } : {};
  // T1.
  const requests = await Promise.all(
    found.map(({ project, cascadeId }) => {
      const data = { cascade_id: cascadeId, ...recall, trigger: 'request' as const, selector, reason, by, limits };
      const saying = { projectId: project.id, by, eventId: derivedId(cascadeId, 'requested'), requester };
      return toHome(services.deps, saidEvent(services, 'dats.cascade.requested', cascadeId, data, saying));
    }),
  );
  await services.deps.log.append(requests);
  return { answer, begun: true, replayed: false };
};

const reachOf = (project: Project, roots: readonly number[], limits: CascadeLimits, pricing: Pricing): Impacted['impact'] =>
  impactOf(project, roots, { maxDepth: limits.max_depth, maxArtifacts: limits.max_artifacts }, pricing).impact;

/** T2. @throws Fault `idempotency_key_reused` */
const earlierOf = (projects: readonly Project[], requestId: string, body: TaintBody, pricing: Pricing): readonly Found[] =>
  projects.flatMap((project): Found[] => {
    const cascade = project.cascades.get(derivedId(requestId, project.id));
    if (cascade === undefined) return [];
    if (!isSame(cascade, body)) throw reused();
    const roots = selected(project, cascade.selector);
    return [{ project, cascadeId: cascade.id, impact: reachOf(project, roots, cascade.limits, pricing) }];
  });

const isSame = (cascade: Cascade, body: TaintBody): boolean =>
  cascade.reason === body.reason &&
  canonicalize(cascade.selector) === canonicalize(selectorOf(body)) &&
  Object.entries(body.limits ?? {}).every(([name, limit]) => limit === undefined || cascade.limits[name as keyof CascadeLimits] === limit);

const answerOf = (
  found: readonly Found[],
  { dry_run, requestId }: { readonly dry_run: boolean; readonly requestId: string },
): TaintAnswer => ({
  dry_run,
  recall_id: dry_run || found.length < 2 ? null : requestId,
  cascades: found.map(({ project, cascadeId, impact }) => ({ cascade_id: dry_run ? null : cascadeId, project_id: project.id, impact })),
});
