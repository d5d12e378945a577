// Grade `generation`: what is not on record is really asked and really checked, by the same effects as ever, with other ports.
//
// V1. No more calls of a model than the budget has. V2. What an effect says goes nowhere: its outcome is an event of the lane. V3. Outputs go to the content-addressed
// store, where they are nobody's until an event names them. V4. Calls are accounted to the replay, not to the tasks. V5. Where one fails for infrastructure's sake the
// others are stopped: the lane is decided anew. V6. A fault that would end a node ends the replay.
import type { Ask, Message, ModelGateway } from '../../models/index.js';
import { type DatsEvent, type EventOf, Fault } from '../../schemas/index.js';
import type { Draft } from '../draft.js';
import type { Effect, EffectContext, EffectPorts } from '../effect.js';
import type { Budget } from './budget.js';
import { type EventsOf, endOfReplay } from './lane.js';
import type { Live, WorkEvent } from './oracle.js';
import type { History } from './record.js';

export interface LiveOptions {
  /** The replay's own work item. */
  readonly work: EventOf<'dats.work.requested'>;
  readonly effects: { readonly generate: Effect; readonly check: Effect };
  readonly ports: EffectPorts;
  readonly context: EffectContext;
  readonly history: History;
  readonly firstOffset: number;
  readonly budget: Budget;
  /** In place of the system message. */
  readonly prompt: string | undefined;
}

const promptedBy = (messages: readonly Message[], prompt: string): readonly Message[] =>
  messages.map((message) => (message.role === 'system' ? { ...message, content: prompt } : message));

/** V4. */
const modelsFor = ({ ports, work, prompt }: LiveOptions): ModelGateway => ({
  ask: (ask, signal) => {
    const { onText: _text, onRestart: _restart, traceparent: _trace, ...rest } = ask;
    const asked: { -readonly [K in keyof Ask]: Ask[K] } = { ...rest, task_id: work.data.task_id };
    if (prompt !== undefined) asked.messages = promptedBy(ask.messages, prompt);
    if (work.traceparent !== undefined) asked.traceparent = work.traceparent;
    return ports.models.ask(asked, signal);
  },
  embed: (ask, signal) => ports.models.embed(ask, signal),
  status: (options) => ports.models.status(options),
  close: async () => {},
});

/** Offsets of recorded outputs by event: a lane holds them without their contents. */
const outputOffsets = (history: History): ReadonlyMap<string, number> => {
  const offsets = new Map<string, number>();
  for (const { attempts } of history.tasks.values())
    for (const attempt of attempts) if (attempt?.outcome !== undefined) offsets.set(attempt.outcome.event.id, attempt.outcome.offset);
  return offsets;
};

const outcomeIn = (drafts: readonly Draft[]): Draft => {
  const outcome = drafts.find(({ type }) => type !== 'dats.task.started');
  if (outcome === undefined) throw new Fault('terminal', 'no_outcome', 'the effect said nothing about its work');
  return outcome;
};

export const openLive = (options: LiveOptions) => {
  const { effects, ports, context, firstOffset, budget } = options;
  const recorded = outputOffsets(options.history);
  const shadowPorts: EffectPorts = { ...ports, models: modelsFor(options) };
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);

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
    const made = async (effect: Effect, work: WorkEvent): Promise<{ readonly draft: Draft; readonly tookMs: number }> => {
      signal.throwIfAborted();
      const began = performance.now();
      const draft = outcomeIn(await effect.run(work, shadowPorts, shadow));
      return { draft, tookMs: draft.type === 'dats.task.output.created' ? draft.data.duration_ms : performance.now() - began };
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
    return {
      generate: (work) => {
        const allowed = budget.take();
        return allowed && stopping(allowed.then(() => run(effects.generate, work)));
      },
      check: (work) => stopping(run(effects.check, work)),
    };
  };
};
