// The effect that replays: reads a project's history, decides it again in lanes of its own, and says what came out.
//
// R1. Nothing is appended but `dats.replay.*` of the real project: the effect has no log to append to, and the lanes have none at all. R2. Ids are derived from the
// replay's: run again after a crash it says the same once, and what the log has of it already not at all. R3. It gives way every few milliseconds, and stops soon when it is told to.
// R4. Of several requests with one id the first is replayed, by the work item that came with it.
import { type DataOf, derivedId, type EventOf, Fault, type ReplayReport } from '../../schemas/index.js';
import { storeText } from '../content.js';
import { type Draft, say } from '../draft.js';
import type { Effect, EffectContext, EffectPorts } from '../effect.js';
import { ANSWER_LIMIT_MS } from '../routing/index.js';
import { openBreather } from './breather.js';
import { openBudget } from './budget.js';
import { compare, type ReplayConfig } from './compare.js';
import { openLive } from './live.js';
import { type FoundReplay, findReplay, type ReadableLog, readHistory } from './read.js';

export interface ReplayEffectDeps {
  readonly log: ReadableLog;
  /** What is in force when a replay begins. */
  readonly config: () => ReplayConfig;
  /** What makes and checks outputs of grade `generation`. */
  readonly generate: Effect;
  readonly check: Effect;
}

type Work = EventOf<'dats.work.requested'>;
type LaneName = DataOf<'dats.replay.progressed'>['lane'];

/** Events about how far a lane is: so many at most. */
const STEPS = 9;

/** No project may be called so: "~" is not allowed in the id of one. */
export const shadowOf = (project: string, replayId: string): string => `${project}~replay~${replayId}`;

const replayIdOf = ({ data }: Work): string => data.replay_id ?? data.task_id;

/** Says how far a lane is, each step once; and how many calls of models may have been made. */
const progressOf = (replayId: string, said: ReadonlySet<string>, context: EffectContext) => {
  const reached = new Map<LaneName, number>();
  let now: Omit<DataOf<'dats.replay.progressed'>, 'calls'> = { replay_id: replayId, lane: 'observed', done: 0, total: 1 };
  const onProgress = async (lane: LaneName, done: number, total: number): Promise<void> => {
    now = { replay_id: replayId, lane, done, total };
    const step = total === 0 ? 0 : Math.floor((done / total) * STEPS);
    if (step <= (reached.get(lane) ?? -1)) return;
    reached.set(lane, step);
    const id = derivedId(replayId, 'progressed', lane, step);
    if (said.has(id)) return;
    await context.emit([say('dats.replay.progressed', replayId, now, id)]);
  };
  const onCalls = (calls: number): Promise<void> =>
    context.emit([say('dats.replay.progressed', replayId, { ...now, calls }, derivedId(replayId, 'calls', calls))]);
  return { onProgress, onCalls };
};

const reportOf = async (
  deps: ReplayEffectDeps,
  work: Work,
  ports: EffectPorts,
  context: EffectContext,
  found: FoundReplay,
): Promise<ReplayReport> => {
  const { log } = deps;
  const config = deps.config();
  const { projectid: project } = work;
  const request = found.request.data;
  const shadow = shadowOf(project, request.replay_id);
  const breather = openBreather(context.signal);
  const { onProgress, onCalls } = progressOf(request.replay_id, found.said, context);
  await onProgress('observed', 0, 1);
  const fold = await readHistory(
    log,
    project,
    { from: request.slice.from ?? 0, until: found.offset },
    {
      choice: request.slice,
      shadow,
      policy: config.scheduling,
      answerLimitMs: config.routing.answerLimitMs ?? ANSWER_LIMIT_MS,
    },
    breather,
    context.signal,
  );
  const { history, runs: observed } = await fold.finish(breather);
  await onProgress('observed', history.tasks.size, history.tasks.size);
  const firstOffset = found.offset + 1;
  const live =
    request.grade === 'generation'
      ? openLive({
          work,
          by: request.by,
          effects: { generate: deps.generate, check: deps.check },
          ports,
          context,
          history,
          firstOffset,
          budget: openBudget({ max: request.max_calls, spent: found.calls, say: onCalls }),
          prompt: request.changes.prompt,
        })
      : undefined;
  return compare({
    request,
    project,
    shadow,
    history,
    observed,
    config,
    firstOffset,
    ...(live === undefined ? {} : { live }),
    breather,
    onProgress,
  });
};

export const replayEffect = (deps: ReplayEffectDeps): Effect => ({
  name: 'replay',
  kinds: ['replay'],
  concerns: replayIdOf,
  givenUp: (work, fault): readonly Draft[] => {
    const replay_id = replayIdOf(work);
    const error = { code: fault.code, message: fault.message, retryable: fault.kind === 'retryable' };
    return [say('dats.replay.failed', replay_id, { replay_id, error }, derivedId(replay_id, 'outcome'))];
  },
  run: async (work, ports, context) => {
    const began = performance.now();
    const replay_id = replayIdOf(work);
    context.signal.throwIfAborted();
    const found = await findReplay(deps.log, work.projectid, replay_id, work.data.context.created, context.signal);
    if (found === undefined)
      // A read of the log may be a little behind what was appended to it.
      throw new Fault('retryable', 'replay_missing', `the log of project ${work.projectid} holds no request for replay ${replay_id}`);
    const isOther = work.causationid !== undefined && work.causationid !== found.request.id;
    if (found.hasEnded || isOther) return [];
    const report = await reportOf(deps, work, ports, context, found);
    const completed: DataOf<'dats.replay.completed'> = {
      replay_id,
      verdict: report.verdict,
      summary: report.summary.slice(0, 2_000),
      baseline: report.counters.baseline,
      candidate: report.counters.candidate,
      tasks: report.history.tasks,
      duration_ms: Math.round(performance.now() - began),
      report: await storeText(ports.artifacts, JSON.stringify(report)),
    };
    return [say('dats.replay.completed', replay_id, completed, derivedId(replay_id, 'outcome'))];
  },
});
