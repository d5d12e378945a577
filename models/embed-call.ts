// One call for vectors, and the telemetry record it leaves (K1, K2).
import type { Decision } from '../schemas/index.js';
import { costOf, tokensOf } from './accounting.js';
import { type CallDeps, errorTypeOf, outcomeOf, recordCall } from './call-record.js';
import type { EmbedAsk, Embeddings } from './gateway.js';

export const textTokens = ({ texts }: EmbedAsk): number => {
  let chars = 0;
  for (const text of texts) chars += text.length;
  return tokensOf(chars);
};

/** @throws what the runner threw, or the signal's reason */
export const callEmbedding = async (deps: CallDeps, ask: EmbedAsk, decision: Decision, signal: AbortSignal): Promise<Embeddings> => {
  const { config, runner, price, clock } = deps;
  const started = clock.now();
  let made: Awaited<ReturnType<typeof runner.embed>>;
  try {
    made = await runner.embed(ask.texts, signal, deps.loaded);
  } catch (error) {
    recordCall(
      deps,
      ask,
      'embeddings',
      { input_tokens: 0, output_tokens: 0 },
      {
        outcome: outcomeOf(error, signal),
        error_type: errorTypeOf(error, signal),
        duration_ms: clock.now() - started,
      },
    );
    throw error;
  }
  const { vectors, input_tokens } = made;
  recordCall(deps, ask, 'embeddings', { input_tokens, output_tokens: 0 }, { outcome: 'ok', duration_ms: clock.now() - started });
  const { provider, scripted } = runner;
  const embeddings = { vectors, model: config.id, provider, scripted, input_tokens, decision };
  return price === undefined ? embeddings : { ...embeddings, cost_usd: costOf(price, input_tokens, 0) };
};
