// The next bounded piece of a cascade: marks, checks of suspects, or its end. Pure.
//
// S1. At most MARKS_A_STEP marks at once, and no more a second than the cascade's limits allow. S2. At most `revalidations` suspects are being checked at a time; who has
// no verdict in time is unproven. S3. It ends when nothing is queued, nobody is suspect and nothing is being checked.
import { type ArtifactRef, type DataOf, derivedId, type RevalidationVerdict, workTopic } from '../../schemas/index.js';
import { type Draft, inChain, say, sayOn } from '../draft.js';
import { isoOf } from '../iso-time.js';
import { type Cascade, isActive, type Reached, remainingOf, suspectsOf } from './cascade.js';
import type { CascadePolicy } from './policy.js';
import type { Project } from './project.js';
import { NONE } from './versions.js';

const MARKS_A_STEP = 500;
/** Work items of revalidations carry no prompt of their own. */
const REVALIDATE = 'revalidate@1';

/** How many marks a step makes at most. */
const marksAStep = ({ limits }: Cascade): number => Math.max(1, Math.min(MARKS_A_STEP, Math.floor(limits.per_second / 4)));

/** When it may mark again, milliseconds since the epoch (S1). */
const mayMarkAt = ({ markedMs, markedThen, limits }: Cascade, now: number): number =>
  // Marked in the future: by an owner whose clock was ahead.
  markedMs === undefined || markedMs > now ? now : markedMs + Math.floor((markedThen / limits.per_second) * 1_000);

export const nextCascadeStep = (cascade: Cascade, now: number): number | undefined => {
  if (cascade.state === 'requested') return undefined;
  if (cascade.state === 'cancelling' || cascade.toClear.size > 0) return now;
  if (cascade.toAsk.size > 0 && cascade.asked.size < cascade.limits.revalidations) return now;
  if (cascade.queued.size > 0) return Math.max(now, mayMarkAt(cascade, now));
  if (cascade.asked.size > 0) return Math.min(...cascade.asked.values());
  return now;
};

/** `taken`: what other cascades taint in the same step; it is added to. */
export const cascadeStep = (
  project: Project,
  cascade: Cascade,
  now: number,
  policy: CascadePolicy,
  taken: Set<number>,
): readonly Draft[] => {
  if (!isActive(cascade) || cascade.state === 'requested') return [];
  const inOwn = (draft: Draft): Draft => inChain(cascade.chain, draft);
  if (cascade.state === 'cancelling') return [inOwn(completed(cascade, 'cancelled', now))];
  const drafts: Draft[] = [...overdue(project, cascade, now), ...cleared(project, cascade), ...asks(project, cascade, now, policy)];
  if (cascade.queued.size > 0 && mayMarkAt(cascade, now) <= now) drafts.push(...marks(project, cascade, taken));
  if (drafts.length === 0 && cascade.queued.size === 0 && suspectsOf(cascade) === 0)
    drafts.push(completed(cascade, cascade.cut === undefined ? 'completed' : 'cut', now));
  return drafts.map(inOwn);
};

const countsOf = (cascade: Cascade) => ({
  tainted: cascade.tainted,
  suspect: suspectsOf(cascade),
  cleared: cascade.cleared,
  already_tainted: cascade.alreadyTainted,
  depth: cascade.depth,
});

const completed = (cascade: Cascade, outcome: DataOf<'dats.cascade.completed'>['outcome'], now: number): Draft => {
  const { id, cut, requestedMs } = cascade;
  const left = remainingOf(cascade);
  const detail =
    outcome === 'cut'
      ? `${cut} were reached`
      : outcome === 'cancelled' && left > 0
        ? `${left} artifacts that were reached are not marked`
        : undefined;
  return say(
    'dats.cascade.completed',
    id,
    {
      cascade_id: id,
      outcome,
      ...countsOf(cascade),
      duration_ms: Math.max(0, now - requestedMs),
      ...(detail === undefined ? {} : { detail }),
    },
    derivedId(id, 'completed'),
  );
};

const marks = (project: Project, cascade: Cascade, taken: Set<number>): readonly Draft[] => {
  const found: Reached[] = [];
  const most = marksAStep(cascade);
  for (let i = cascade.next; i < cascade.queue.length && found.length < most; i++) {
    const reached = cascade.queue[i]!;
    if (cascade.queued.get(reached.index) !== reached.as || taken.has(reached.index)) continue;
    found.push(reached);
    if (reached.as === 'tainted') taken.add(reached.index);
  }
  const drafts = found.map((reached) => mark(project, cascade, reached));
  const rest = remainingOf(cascade) - found.length;
  if (rest > 0)
    drafts.push(
      say(
        'dats.cascade.progressed',
        cascade.id,
        { cascade_id: cascade.id, ...countsOf(cascade), remaining: rest },
        derivedId(cascade.id, 'progressed', cascade.next),
      ),
    );
  return drafts;
};

const mark = ({ graph }: Project, cascade: Cascade, { index, as, depth, via, edge, cause, reason }: Reached): Draft => {
  const { artifact_id, task_id, path } = graph.factAt(index)!;
  const data = {
    cascade_id: cascade.id,
    artifact_id,
    task_id,
    path,
    depth,
    ...(via === undefined ? {} : { via: graph.idOf(via) }),
    ...(edge === undefined ? {} : { edge }),
  };
  const rounds = cascade.marks.get(index)?.rounds ?? 0;
  const id = rounds === 0 || as === 'tainted' ? derivedId(cascade.id, artifact_id, as) : derivedId(cascade.id, artifact_id, as, rounds);
  return as === 'tainted'
    ? say('dats.artifact.tainted', artifact_id, { ...data, cause, reason: reason.slice(0, 8_000) }, id)
    : say('dats.artifact.suspect', artifact_id, data, id);
};

/** The first `count`, without a copy of all. */
export const first = <T>(items: Iterable<T>, count: number): T[] => {
  const found: T[] = [];
  for (const item of items) {
    if (found.length >= count) break;
    found.push(item);
  }
  return found;
};

const asks = (project: Project, cascade: Cascade, now: number, policy: CascadePolicy): readonly Draft[] => {
  const free = cascade.limits.revalidations - cascade.asked.size;
  return free <= 0 ? [] : first(cascade.toAsk, free).flatMap((index) => ask(project, cascade, index, now, policy));
};

/** A suspect is to be judged without what is tainted of what it was made from: the versions that stand in their places take theirs. */
const ask = (project: Project, cascade: Cascade, index: number, now: number, policy: CascadePolicy): readonly Draft[] => {
  const { graph, marks, versions, tasks } = project;
  const { artifact_id, task_id, attempt, offset } = graph.factAt(index)!;
  const task = tasks.get(task_id)!;
  const parent = task.parent === undefined ? undefined : tasks.get(task.parent);
  const bad = graph.parents(index).filter((each) => marks.of(each) === 'tainted');
  const without = bad.map((each) => graph.idOf(each)).slice(0, 1_000);
  const instead = bad.flatMap((each): ArtifactRef[] => {
    const path = graph.factAt(each)?.path;
    const head = path === undefined ? NONE : versions.head(path);
    return head === NONE || marks.of(head) !== 'clean' || head === index ? [] : [refOf(project, head)];
  });
  const due = isoOf(now + policy.revalidation_timeout_s * 1_000);
  const id = derivedId(cascade.id, artifact_id, 'revalidation', cascade.marks.get(index)!.rounds ?? 1);
  const work: DataOf<'dats.work.requested'> = {
    task_id,
    kind: 'revalidate',
    attempt,
    tier: 'small',
    domain: 'general',
    prompt_version: REVALIDATE,
    qa_profile: task.hasTests ? 'tests' : task.profile,
    context: { created: task.created, output: offset, inputs: [], ...(parent === undefined ? {} : { parent: parent.created }) },
    due,
    revalidate: { cascade_id: cascade.id, artifact_id, without, instead },
  };
  return [
    say('dats.artifact.revalidation.requested', artifact_id, { cascade_id: cascade.id, artifact_id, task_id, attempt, without, due }, id),
    sayOn(workTopic('qa'), task_id, 'dats.work.requested', task_id, work, derivedId(id, 'work')),
  ];
};

export const refOf = ({ graph }: Project, index: number): ArtifactRef => {
  const { artifact_id, task_id, path, sha256, offset } = graph.factAt(index)!;
  return { artifact_id, task_id, path, sha256, at: offset };
};

/** S2. */
const overdue = (project: Project, cascade: Cascade, now: number): readonly Draft[] =>
  [...cascade.asked].flatMap(([index, dueMs]) =>
    dueMs > now ? [] : [verdict(project, cascade, index, 'unproven', 'no verdict came in time', 'overdue')],
  );

/** Suspicion ends with an event, whoever folds it. */
const cleared = (project: Project, cascade: Cascade): readonly Draft[] =>
  [...cascade.toClear].map((index) =>
    verdict(project, cascade, index, 'cleared', 'nothing can tell, and this cascade clears what is unproven', 'unproven'),
  );

const verdict = (
  { graph, tasks }: Project,
  cascade: Cascade,
  index: number,
  said: RevalidationVerdict,
  reason: string,
  why: string,
): Draft => {
  const { artifact_id, task_id, attempt } = graph.factAt(index)!;
  const { profile } = tasks.get(task_id)!;
  return say(
    'dats.artifact.revalidated',
    artifact_id,
    { cascade_id: cascade.id, artifact_id, task_id, attempt, verdict: said, profile, checks: [], reasons: [reason] },
    derivedId(cascade.id, artifact_id, why, cascade.marks.get(index)!.rounds ?? 1),
  );
};
