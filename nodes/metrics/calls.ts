// Model calls as figures: tokens, time, money, and which model was chosen why.
//
// M1. A call that was made counts once, with the record it leaves. M2. Labels are what servers.yaml names and codes of faults, never what a server answers.
import type { Answer, Ask, ModelGateway } from '../../models/index.js';
import { isFault, type ModelCall, type Tier } from '../../schemas/index.js';
import { type Family, type HistogramSeries, type NumberSeries, once } from './instruments.js';

export interface CallMetrics {
  readonly tokens: Family<HistogramSeries>;
  readonly calls: Family<HistogramSeries>;
  readonly firstChunks: Family<HistogramSeries>;
  readonly spend: Family<NumberSeries>;
  readonly decisions: Family<NumberSeries>;
  readonly overhead: Family<HistogramSeries>;
}

interface ModelSeries {
  readonly input: HistogramSeries;
  readonly output: HistogramSeries;
  readonly answered: HistogramSeries;
  readonly firstChunk: HistogramSeries;
  readonly spend: NumberSeries;
  failed(errorType: string): HistogramSeries;
}

/** Counts one call, for `onCall` of the model gateway. */
export const observeCalls = (metrics: CallMetrics): ((call: ModelCall) => void) => {
  const known = new Map<string, ModelSeries>();
  const seriesOf = ({ operation, provider, request_model, model }: ModelCall): ModelSeries => {
    const labels = [operation, provider, request_model] as const;
    return {
      input: metrics.tokens.of(...labels, 'input'),
      output: metrics.tokens.of(...labels, 'output'),
      answered: metrics.calls.of(...labels, ''),
      firstChunk: metrics.firstChunks.of(...labels),
      spend: metrics.spend.of(provider, model),
      failed: (errorType) => metrics.calls.of(...labels, errorType),
    };
  };
  return (call) => {
    // An id of servers.yaml stands for its provider and the name that the server knows.
    const key = call.operation === 'chat' ? call.model : `${call.operation} ${call.model}`;
    let series = known.get(key);
    if (series === undefined) {
      series = seriesOf(call);
      known.set(key, series);
    }
    series.input.observe(call.input_tokens);
    series.output.observe(call.output_tokens);
    const duration = call.outcome === 'ok' ? series.answered : series.failed(call.error_type ?? call.outcome);
    duration.observe(call.duration_ms / 1_000);
    if (call.time_to_first_chunk_ms !== undefined) series.firstChunk.observe(call.time_to_first_chunk_ms / 1_000);
    if (call.cost_usd !== undefined) series.spend.add(call.cost_usd);
  };
};

/** The gateway itself, watched: who was chosen why, and what it added to the call that answered. */
export const watchDecisions = (models: ModelGateway, metrics: CallMetrics): ModelGateway => {
  const overhead = metrics.overhead.of();
  const decided = once((model: string) => once((tier: Tier) => once((reason: string) => metrics.decisions.of(model, tier, reason))));
  const answered = (ask: Ask, answer: Answer, began: number): Answer => {
    decided(answer.model)(ask.tier)(answer.decision?.reason ?? 'named').add();
    overhead.observe(Math.max(0, performance.now() - began - answer.duration_ms) / 1_000);
    return answer;
  };
  return {
    async ask(ask, signal) {
      const began = performance.now();
      try {
        return answered(ask, await models.ask(ask, signal), began);
      } catch (error) {
        if (isFault(error) && !signal.aborted) metrics.decisions.of('none', ask.tier, error.code).add();
        throw error;
      }
    },
    embed: (ask, signal) => models.embed(ask, signal),
    status: (options) => models.status(options),
    close: () => models.close(),
  };
};
