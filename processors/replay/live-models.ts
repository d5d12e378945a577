// The models as an answer that nobody recorded is asked of them: in the name of the replay, and on the budgets of its project, of who asked for it, and of the
// agent `replay`.
//
// B3. Where a quota is in the way only now (a rate, a place, what is set aside for others) it is waited for, QUOTA_WAIT_MS at the most.
import type { Ask, Message, ModelGateway } from '../../models/index.js';
import type { EventOf, Fault } from '../../schemas/index.js';
import { pause } from '../../streams/index.js';
import type { EffectPorts } from '../effect.js';
import { budgeted, chargedFor } from '../quota/index.js';

export interface LiveModelsOptions {
  /** The replay's own work item. */
  readonly work: EventOf<'dats.work.requested'>;
  /** Who asked for the replay. */
  readonly by: string;
  readonly ports: Pick<EffectPorts, 'models' | 'spending'>;
  /** In place of the system message. */
  readonly prompt: string | undefined;
}

export interface LiveModels extends ModelGateway {
  /** Why the last question was not asked; undefined where it was. */
  readonly refusal: Fault | undefined;
  /** For quotas, in milliseconds. */
  readonly waitedMs: number;
}

/** One question waits so long for a quota, in milliseconds. */
export const QUOTA_WAIT_MS = 10 * 60 * 1000;
/** Where nobody says when it is worth asking again, in milliseconds. */
const AGAIN_MS = 1_000;

const promptedBy = (messages: readonly Message[], prompt: string): readonly Message[] =>
  messages.map((message) => (message.role === 'system' ? { ...message, content: prompt } : message));

/** For one call. */
export const openLiveModels = ({ work, by, ports: { models, spending }, prompt }: LiveModelsOptions): LiveModels => {
  let refusal: Fault | undefined;
  let waitedMs = 0;

  const withinBudget = async (ask: Ask, signal: AbortSignal) => {
    for (;;) {
      const door = budgeted({ models, spending, agent: 'replay', charged: chargedFor(work, by) });
      try {
        return await door.ask(ask, signal);
      } catch (error) {
        refusal = door.refusal;
        const ms = refusal?.code === 'quota_reached' ? Math.max(1, refusal.retryAfterMs ?? AGAIN_MS) : Number.POSITIVE_INFINITY;
        if (waitedMs + ms > QUOTA_WAIT_MS) throw error;
        waitedMs += ms;
        await pause(ms, signal);
        signal.throwIfAborted();
        refusal = undefined;
      }
    }
  };

  return {
    get refusal() {
      return refusal;
    },
    get waitedMs() {
      return waitedMs;
    },
    ask: (ask, signal) => {
      const { onText: _text, onRestart: _restart, traceparent: _trace, ...rest } = ask;
      const asked: { -readonly [K in keyof Ask]: Ask[K] } = { ...rest, task_id: work.data.task_id };
      if (prompt !== undefined) asked.messages = promptedBy(ask.messages, prompt);
      if (work.traceparent !== undefined) asked.traceparent = work.traceparent;
      return withinBudget(asked, signal);
    },
    embed: (ask, signal) => models.embed(ask, signal),
    status: (options) => models.status(options),
    close: async () => {},
  };
};
