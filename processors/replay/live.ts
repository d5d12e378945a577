// Grade `generation`: what is not on record is really asked and really checked, by the same effects as ever, with other ports.
//
// V1. At most `maxCalls` calls of a model. V2. What an effect says goes nowhere: its outcome is an event of the lane. V3. Outputs go to the content-addressed
// store, where they are nobody's until an event names them. V4. Calls are accounted to the replay, not to the tasks.
import type { Ask, Message, ModelGateway } from '../../models/index.js';
import { type DatsEvent, type EventOf, Fault } from '../../schemas/index.js';
import { eventOf } from '../../streams/index.js';
import type { Draft } from '../draft.js';
import type { Effect, EffectContext, EffectPorts } from '../effect.js';
import type { EventsOf } from './lane.js';
import type { Live, WorkEvent } from './oracle.js';
import type { ReadableLog } from './read.js';
import type { History } from './record.js';

export interface LiveOptions {
  /** The replay's own work item. */
  readonly work: EventOf<'dats.work.requested'>;
  readonly effects: { readonly generate: Effect; readonly check: Effect };
  readonly ports: EffectPorts;
  readonly context: EffectContext;
  readonly log: ReadableLog;
  readonly place: { readonly topic: 'dats.lifecycle'; readonly partition: number };
  readonly history: History;
  readonly firstOffset: number;
  readonly maxCalls: number;
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
  const { effects, ports, context, log, place, firstOffset, maxCalls } = options;
  const recorded = outputOffsets(options.history);
  const shadowPorts: EffectPorts = { ...ports, models: modelsFor(options) };
  let calls = 0;

  return (events: EventsOf): Live => {
    const eventAt = async (offset: number): Promise<DatsEvent> => {
      if (offset < firstOffset) return context.eventAt(offset);
      const event = events(offset);
      if (event === undefined) throw new Fault('terminal', 'event_missing', `the lane has no event at ${offset}`);
      const real = recorded.get(event.id);
      if (real === undefined || event.type !== 'dats.task.output.created') return event;
      const record = await log.get({ ...place, offset: real });
      if (record === undefined) throw new Fault('terminal', 'event_missing', `the log has no event at offset ${real}`);
      return eventOf(record);
    };
    const shadow: EffectContext = {
      signal: context.signal,
      eventAt,
      emit: async () => {},
      onText: () => {},
      onRestart: () => {},
      node: context.node,
      worker: context.worker,
      fence: 'replay',
    };
    const run = async (effect: Effect, work: WorkEvent): Promise<{ readonly draft: Draft; readonly tookMs: number }> => {
      const began = performance.now();
      const draft = outcomeIn(await effect.run(work, shadowPorts, shadow));
      return { draft, tookMs: draft.type === 'dats.task.output.created' ? draft.data.duration_ms : performance.now() - began };
    };
    return {
      generate: (work) => {
        if (calls >= maxCalls) return undefined;
        calls++;
        return run(effects.generate, work);
      },
      check: (work) => run(effects.check, work),
    };
  };
};
