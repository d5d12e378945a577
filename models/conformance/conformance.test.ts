import { describe, expect, it } from 'vitest';
import type { Clock } from '../clock.js';
import { modelFault } from '../faults.js';
import type { ModelFaultCode } from '../runner.js';
import { type Gaps, idealRunner } from '../testing/ideal-runner.js';
import type { CheckedModel, CheckOutcome } from './check.js';
import { CHECKS, type CheckResult, type ConformanceReport, checkConformance } from './run.js';

const MODEL: CheckedModel = { model: 'ideal', context_tokens: 4_096, concurrency: 4, paid: false };

/** Waits end in the order in which they would, and take no time. */
const hastyClock = (): Clock => {
  let now = 0;
  let waiting: { at: number; fire: () => void }[] = [];
  const turn = (): void => {
    const next = waiting.reduce<(typeof waiting)[number] | undefined>(
      (first, one) => (first === undefined || one.at < first.at ? one : first),
      undefined,
    );
    if (next === undefined) return;
    waiting = waiting.filter((one) => one !== next);
    now = Math.max(now, next.at);
    next.fire();
  };
  return {
    now: () => now,
    after: (ms, fire) => {
      const one = { at: now + ms, fire };
      waiting.push(one);
      setImmediate(turn);
      return () => {
        waiting = waiting.filter((other) => other !== one);
      };
    },
  };
};

const report = (gaps: Gaps = {}, only?: string, model: Partial<CheckedModel> = {}): Promise<ConformanceReport> => {
  const clock = hastyClock();
  const checks = CHECKS.filter(({ name }) => only === undefined || name === only);
  return checkConformance(idealRunner(clock, gaps), { model: { ...MODEL, ...model }, checks, clock }, new AbortController().signal);
};
/** No call has the seed that was asked for. */
const reseeding = (): NonNullable<Gaps['hears']> => {
  let seed = 0;
  return (request) => {
    seed += 1;
    return { ...request, seed };
  };
};
const refusing = (code: ModelFaultCode) => ({ refuses: () => code });

describe('conformance', () => {
  it('is whole where everything works, and says so in sizes and codes, never in words that were sent or came', async () => {
    const { ok, checks, not_made } = await report();
    expect(checks.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(CHECKS.map(({ name }) => `${name} ok`));
    expect({ ok, not_made }).toEqual({ ok: true, not_made: [] });
    expect(checks.some(({ dats }) => dats !== undefined)).toBe(false);
    expect(JSON.stringify(checks)).not.toMatch(/zorbal|quimfit|blenzor|twenty|verdict"|lighthouse with/);
  });

  it.each<[string, CheckOutcome, Gaps, Partial<CheckedModel>?]>([
    ['answers', 'failed', refusing('model_rejected')],
    ['answers', 'failed', { hears: (r) => ({ ...r, max_tokens: 0 }) }],
    ['streaming', 'partly', { whole: true }],
    ['streaming', 'failed', refusing('model_timeout')],
    ['system', 'partly', { counts: () => 10 }],
    ['system', 'failed', { refuses: ({ messages }) => (messages[0]?.role === 'system' ? 'model_rejected' : undefined) }],
    ['max_tokens', 'missing', { hears: ({ max_tokens: _, ...r }) => r }],
    ['max_tokens', 'partly', { saysLengthAs: 'stop' }],
    ['stop', 'missing', { hears: ({ stop: _, ...r }) => r }],
    ['seed', 'missing', { hears: reseeding() }],
    ['seed', 'partly', { hears: (r) => ({ ...r, seed: 1 }) }],
    ['json', 'missing', { json: 'Here you are: {}' }],
    ['json', 'missing', refusing('model_rejected')],
    ['json_schema', 'partly', { json: '{"verdict":"maybe"}' }],
    ['json_schema', 'missing', { json: 'no' }],
    ['json_schema', 'missing', refusing('model_error')],
    ['tools', 'missing', { noCalls: true }],
    ['tools', 'missing', refusing('model_rejected')],
    ['tools', 'failed', refusing('model_overloaded')],
    ['tools', 'partly', { json: 'no JSON' }],
    ['usage', 'missing', { estimated: true }],
    ['usage', 'partly', { counts: () => 4_000 }],
    ['models', 'failed', { listed: [{ name: 'another' }] }],
    ['models', 'partly', { listed: [] }],
    ['models', 'missing', { listed: 'model_missing' }],
    ['context', 'missing', { listed: [{ name: 'ideal' }] }],
    ['context', 'partly', { listed: [{ name: 'ideal:latest', context_tokens: 2_048 }] }],
    ['overflow', 'failed', { counts: () => 4_096 }],
    ['overflow', 'partly', refusing('model_rejected')],
    ['overflow', 'partly', {}, { paid: true }],
    ['overflow', 'partly', {}, { context_tokens: 1_000_000 }],
    ['cancellation', 'failed', { holds_ms: 3_000 }],
    ['cancellation', 'partly', { busy: 1 }],
    ['cancellation', 'partly', { hears: (r) => ({ ...r, max_tokens: 1 }), whole: true }],
    ['together', 'partly', { one_at_a_time: true }],
    ['together', 'failed', refusing('model_overloaded')],
    ['embeddings', 'missing', { embed: async () => Promise.reject(modelFault('ideal', 'model_rejected')) }],
    ['embeddings', 'failed', { embed: async (texts) => ({ vectors: texts.map(() => [1, 1]), input_tokens: 1 }) }],
    ['embeddings', 'partly', { embed: async (texts) => ({ vectors: texts.map((t) => [t.length, texts.length]), input_tokens: 1 }) }],
    ['residency', 'missing', { residency: 'none' }],
    ['residency', 'partly', { residency: { loaded: async () => [{ name: 'twin' }], load: async () => {}, unload: async () => {} } }],
    ['residency', 'partly', { residency: { loaded: async () => [{ name: 'ideal' }], load: async () => {}, unload: async () => {} } }],
  ])('finds %s %s', async (name, outcome, gaps, model) => {
    const [result] = (await report(gaps, name, model)).checks;
    expect(result).toMatchObject({ name, outcome });
    expect(result!.dats).toEqual(expect.stringMatching(/\w/));
  });

  it('fails as a whole only where DATS cannot do without', async () => {
    expect((await report({ noCalls: true, embed: async () => Promise.reject(modelFault('ideal', 'model_rejected')) })).ok).toBe(true);
    expect((await report({ holds_ms: 3_000 }, 'cancellation')).ok).toBe(false);
  });

  it('tries nothing more of a server that does not answer', async () => {
    const { ok, checks, not_made } = await report(refusing('model_unreachable'));
    expect(ok).toBe(false);
    expect(checks).toEqual([expect.objectContaining({ name: 'answers', outcome: 'failed', evidence: 'model_unreachable' })]);
    expect(not_made).toEqual(CHECKS.slice(1).map(({ name }) => name));
  });

  it('says of each check when it begins and what came of it', async () => {
    const said: string[] = [];
    const clock = hastyClock();
    await checkConformance(
      idealRunner(clock),
      {
        model: MODEL,
        checks: CHECKS.slice(0, 2),
        clock,
        onBegin: ({ name }) => said.push(`begin ${name}`),
        onEnd: ({ name, outcome }: CheckResult) => said.push(`${name} ${outcome}`),
      },
      new AbortController().signal,
    );
    expect(said).toEqual(['begin answers', 'answers ok', 'begin streaming', 'streaming ok']);
  });

  it('ends a check that has no end, and all of them at an abort', async () => {
    const stuck = {
      ...idealRunner(hastyClock()),
      models: (signal: AbortSignal) => new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    };
    const checks = CHECKS.filter(({ name }) => name === 'models');
    const late = await checkConformance(stuck, { model: MODEL, checks, limit_ms: 20 }, new AbortController().signal);
    expect(late.checks).toEqual([expect.objectContaining({ outcome: 'failed', evidence: 'no end after 20 ms' })]);
    const reason = new Error('enough');
    const abort = new AbortController();
    setImmediate(() => abort.abort(reason));
    await expect(checkConformance(stuck, { model: MODEL, checks }, abort.signal)).rejects.toBe(reason);
  });

  it('sends nothing longer than it says, as whoever pays is told so', async () => {
    for (const check of CHECKS) {
      const clock = hastyClock();
      const runner = idealRunner(clock);
      let [calls, tokens] = [0, 0];
      const counting = {
        ...runner,
        async *generate(...given: Parameters<typeof runner.generate>) {
          calls += 1;
          for await (const chunk of runner.generate(...given)) {
            if (chunk.kind === 'done') tokens += chunk.input_tokens + chunk.output_tokens;
            yield chunk;
          }
        },
      };
      await checkConformance(counting, { model: { ...MODEL, paid: true }, checks: [check], clock }, new AbortController().signal);
      expect(calls, check.name).toBeLessThanOrEqual(check.calls);
      expect(tokens, check.name).toBeLessThanOrEqual(check.tokens);
    }
  });
});
