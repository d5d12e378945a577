// What an effect runs in, for tests: a few events at offsets, a record of what was emitted, a model that answers from a function.
import type { Answer, Ask, ModelGateway } from '../../models/index.js';
import { type DatsEvent, Fault } from '../../schemas/index.js';
import type { Draft } from '../draft.js';
import type { EffectContext } from '../effect.js';

export interface RecordedContext extends EffectContext {
  readonly emitted: readonly Draft[];
  readonly texts: readonly string[];
  /** How often what was said became void. */
  readonly restarts: readonly true[];
}

export const effectContextOf = (events: Readonly<Record<number, DatsEvent>>, changes: Partial<EffectContext> = {}): RecordedContext => {
  const emitted: Draft[] = [];
  const texts: string[] = [];
  const restarts: true[] = [];
  return {
    signal: new AbortController().signal,
    eventAt: async (offset) => {
      const event = events[offset];
      if (event === undefined) throw new Fault('terminal', 'event_missing', `nothing stands at offset ${offset}`);
      return event;
    },
    emit: async (drafts) => {
      emitted.push(...drafts);
    },
    onText: (text) => {
      texts.push(text);
    },
    onRestart: () => {
      restarts.push(true);
    },
    node: 'node',
    worker: 'worker',
    fence: '1-1',
    ...changes,
    emitted,
    texts,
    restarts,
  };
};

export interface RecordedModels extends ModelGateway {
  readonly asked: readonly Ask[];
}

/** A gateway that answers with the text, or the answer, that `reply` returns. */
export const modelsThat = (
  reply: (ask: Ask, signal: AbortSignal) => string | Partial<Answer> | Promise<string | Partial<Answer>>,
): RecordedModels => {
  const asked: Ask[] = [];
  return {
    asked,
    ask: async (ask, signal) => {
      asked.push(ask);
      const said = await reply(ask, signal);
      return {
        text: typeof said === 'string' ? said : '',
        model: 'model',
        provider: 'testing',
        scripted: false,
        finish_reason: 'stop',
        input_tokens: 10,
        output_tokens: 20,
        duration_ms: 1,
        ...(typeof said === 'string' ? {} : said),
      };
    },
    embed: async ({ texts }) => ({ vectors: texts.map(() => [1]), model: 'model', provider: 'testing', scripted: false, input_tokens: 10 }),
    status: async () => [],
    close: async () => {},
  };
};
