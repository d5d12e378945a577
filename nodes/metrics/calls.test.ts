import { beforeEach, describe, expect, it } from 'vitest';
import type { Answer, Ask, ModelGateway } from '../../models/index.js';
import { Fault, type ModelCall } from '../../schemas/index.js';
import { observeCalls, watchDecisions } from './calls.js';
import { CATALOGUE } from './catalogue.js';
import { type HistogramSeries, openHistogram, openNumbers } from './instruments.js';

const open = () => ({
  tokens: openHistogram(CATALOGUE.tokens),
  calls: openHistogram(CATALOGUE.calls),
  firstChunks: openHistogram(CATALOGUE.firstChunks),
  spend: openNumbers(CATALOGUE.spend),
  decisions: openNumbers(CATALOGUE.decisions),
  overhead: openHistogram(CATALOGUE.overhead),
});
let metrics: ReturnType<typeof open>;
beforeEach(() => {
  metrics = open();
});
const count = ({ counts }: HistogramSeries): number => counts.reduce((sum, one) => sum + one, 0);

const call: ModelCall = {
  operation: 'chat',
  model: 'mini',
  request_model: 'gpt-4.1-mini',
  provider: 'openai',
  purpose: 'generate',
  task_id: 'a-task',
  node: 'n',
  input_tokens: 100,
  output_tokens: 20,
  cost_usd: 0.25,
  time_to_first_chunk_ms: 300,
  duration_ms: 2_000,
  outcome: 'ok',
};

describe('a model call', () => {
  it('counts tokens, time, time to the first chunk and money under the names of OpenTelemetry', () => {
    const onCall = observeCalls(metrics);
    onCall(call);
    onCall({ ...call, cost_usd: 0.5 });
    expect(metrics.tokens.of('chat', 'openai', 'gpt-4.1-mini', 'input').sum).toBe(200);
    expect(metrics.tokens.of('chat', 'openai', 'gpt-4.1-mini', 'output').sum).toBe(40);
    expect(metrics.calls.of('chat', 'openai', 'gpt-4.1-mini', '').sum).toBe(4);
    expect(metrics.firstChunks.of('chat', 'openai', 'gpt-4.1-mini').sum).toBeCloseTo(0.6);
    expect(metrics.spend.of('openai', 'mini').value).toBe(0.75);
  });

  it('that failed counts under its error, and without a price or a first chunk nothing of them', () => {
    const { cost_usd: _cost, time_to_first_chunk_ms: _first, ...bare } = call;
    observeCalls(metrics)({ ...bare, outcome: 'timeout', error_type: 'model_timeout' });
    expect(metrics.calls.of('chat', 'openai', 'gpt-4.1-mini', 'model_timeout').sum).toBe(2);
    expect(count(metrics.calls.of('chat', 'openai', 'gpt-4.1-mini', ''))).toBe(0);
    expect(metrics.spend.of('openai', 'mini').value).toBe(0);
    expect(count(metrics.firstChunks.of('chat', 'openai', 'gpt-4.1-mini'))).toBe(0);
  });

  it('has the bucket bounds of the convention', () => {
    expect(CATALOGUE.tokens.buckets).toEqual(Array.from({ length: 14 }, (_, i) => 4 ** i));
    expect(CATALOGUE.calls.buckets).toEqual(Array.from({ length: 14 }, (_, i) => Number((0.01 * 2 ** i).toFixed(2))));
    expect(CATALOGUE.firstChunks.buckets).toEqual(CATALOGUE.calls.buckets);
  });
});

describe('a decision', () => {
  const ask: Ask = { messages: [], purpose: 'generate', tier: 'large', domain: 'code' };
  const answer: Answer = {
    text: '',
    model: 'mini',
    provider: 'openai',
    scripted: false,
    finish_reason: 'stop',
    input_tokens: 1,
    output_tokens: 1,
    duration_ms: 0,
    decision: { chosen: 'mini', reason: 'score', candidates: [] },
  };
  const gateway = (answered: () => Promise<Answer>): ModelGateway => ({
    ask: answered,
    embed: () => Promise.reject(new Error('not asked here')),
    status: async () => [],
    close: async () => undefined,
  });

  it('counts the model that answered, for which tier and why, and what the gateway added', async () => {
    const models = watchDecisions(
      gateway(async () => answer),
      metrics,
    );
    expect(await models.ask(ask, new AbortController().signal)).toBe(answer);
    expect(metrics.decisions.of('mini', 'large', 'score').value).toBe(1);
    expect(count(metrics.overhead.of())).toBe(1);
  });

  it('counts an ask that nobody answered, but not one that was given up', async () => {
    const fault = new Fault('retryable', 'no_model', 'none');
    const models = watchDecisions(
      gateway(async () => Promise.reject(fault)),
      metrics,
    );
    await expect(models.ask(ask, new AbortController().signal)).rejects.toBe(fault);
    await expect(models.ask(ask, AbortSignal.abort())).rejects.toBe(fault);
    expect(metrics.decisions.of('none', 'large', 'no_model').value).toBe(1);
    expect(count(metrics.overhead.of())).toBe(0);
  });
});
