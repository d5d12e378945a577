// Grade `generation`: what is not on record is really asked and really checked, by the same effects as ever, with other ports.
//
// V1. No more calls of a model than the budget has. V2. What an effect says goes nowhere: its outcome is an event of the lane. V3. Outputs go to the content-addressed
// store, where they are nobody's until an event names them. V4. Calls are accounted to the replay, not to the tasks. V5. Where one fails for infrastructure's sake the
// others are stopped: the lane is decided anew. V6. A fault that would end a node ends the replay. V7. What a budget of the ledger does not allow is not asked, and is
// the failure of no task: it counts as blocked. V8. Nothing is asked that would be made from an estimated output: it has no contents.
import { type DatsEvent, type EventOf, Fault } from '../../schemas/index.js';
import type { Draft } from '../draft.js';
import type { Effect, EffectContext, EffectPorts } from '../effect.js';
import type { Budget } from './budget.js';
import { type EventsOf, endOfReplay } from './lane.js';
import { openLiveModels } from './live-models.js';
import type { Live, Made, WorkEvent } from './oracle.js';
import type { History } from './record.js';

export interface LiveOptions {
  /** The replay's own work item. */
  readonly work: EventOf<'dats.work.requested'>;
  /** Who asked for the replay. */
  readonly by: string;
  readonly effects: { readonly generate: Effect; readonly check: Effect };
  readonly ports: EffectPorts;
  readonly context: EffectContext;
  readonly history: History;
  readonly firstOffset: number;
  readonly budget: Budget;
  /** In place of the system message. */
  readonly prompt: string | undefined;
}

/** Offsets of recorded outputs by event: a lane holds them without their contents. */
const outputOffsets = (history: History): ReadonlyMap<string, number> => {
  const offsets = new Map<string, number>();
  for (const { attempts } of history.tasks.values())
    for (const attempt of attempts) if (attempt?.outcome !== undefined) offsets.set(attempt.outcome.event.id, attempt.outcome.offset);
  return offsets;
};

/** A budget that does not come back while the replay runs. */
const USED_UP = 'budget_exceeded';
const REFUSED: ReadonlySet<string> = new Set([USED_UP, 'quota_reached']);

/** The models were stopped by what was set aside. */
const isOverdrawn = (draft: Draft): boolean => draft.type === 'dats.task.attempt.failed' && draft.data.error.code === USED_UP;

const outcomeIn = (drafts: readonly Draft[]): Draft => {
  const outcome = drafts.find(({ type }) => type !== 'dats.task.started');
  if (outcome === undefined) throw new Fault('terminal', 'no_outcome', 'the effect said nothing about its work');
  return outcome;
};

export const openLive = (options: LiveOptions) => {
  const { effects, ports, context, firstOffset, budget } = options;
  const recorded = outputOffsets(options.history);
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  let isUsedUp = false;

  return (events: EventsOf): Live => {
    // The real project's events come from the replay's own context: it waits for a log that is away.
    const eventAt = async (offset: number): Promise<DatsEvent> => {
      if (offset < firstOffset) return context.eventAt(offset);
      const event = events(offset);
      if (event === undefined) throw new Fault('terminal', 'event_missing', `the lane has no event at ${offset}`);
      const real = recorded.get(event.id);
      return real === undefined || event.type !== 'dats.task.output.created' ? event : context.eventAt(real);
    };
    const shadow: EffectContext = {
      signal,
      eventAt,
      emit: async () => {},
      onText: () => {},
      onRestart: () => {},
      node: context.node,
      worker: context.worker,
      fence: 'replay',
    };
    /** V7: undefined. */
    const made = async (effect: Effect, work: WorkEvent): Promise<Made | undefined> => {
      signal.throwIfAborted();
      const began = performance.now();
      const models = openLiveModels(options);
      const draft = outcomeIn(await effect.run(work, { ...ports, models }, shadow));
      const { refusal, waitedMs } = models;
      if (refusal !== undefined && !REFUSED.has(refusal.code)) throw refusal;
      if (refusal?.code === USED_UP) isUsedUp = true;
      if (refusal !== undefined || isOverdrawn(draft)) return undefined;
      return { draft, tookMs: draft.type === 'dats.task.output.created' ? draft.data.duration_ms : performance.now() - began - waitedMs };
    };
    /** V5, V6. */
    const stopping = async <T>(run: Promise<T>): Promise<T> => {
      try {
        return await run;
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    };
    const run = (effect: Effect, work: WorkEvent) => made(effect, work).catch((error: unknown) => Promise.reject(endOfReplay(error)));
    const isKnown = (offset: number): boolean => {
      const event = offset < firstOffset ? undefined : events(offset);
      if (event?.type !== 'dats.task.output.created' || recorded.has(event.id)) return true;
      return event.data.artifacts.every(({ content, dataref }) => content !== undefined || dataref !== undefined);
    };
    return {
      canMake: ({ data: { context: from } }) =>
        (from.output === undefined || isKnown(from.output)) && from.inputs.every(({ at }) => isKnown(at)),
      generate: (work) => {
        const allowed = isUsedUp ? undefined : budget.take();
        return allowed && stopping(allowed.then(() => run(effects.generate, work)));
      },
      check: async (work) => (await stopping(run(effects.check, work)))!,
    };
  };
};
