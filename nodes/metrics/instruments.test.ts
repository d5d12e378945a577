import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { once, openHistogram, openNumbers, SERIES_LIMIT } from './instruments.js';
import { parseExposition } from './testing/exposition.js';

const written = async (...families: readonly { readonly metric: Parameters<Registry['registerMetric']>[0] }[]) => {
  const registry = new Registry();
  for (const { metric } of families) registry.registerMetric(metric as never);
  return parseExposition(await registry.metrics());
};

describe('a histogram', () => {
  const definition = { name: 'd_seconds', type: 'histogram', labels: ['stage'], help: 'how long', buckets: [0.1, 1, 10] } as const;

  it('counts a value in the first bucket that holds it, and in all above', async () => {
    const family = openHistogram(definition);
    for (const value of [0, 0.1, 0.100001, 1, 9, 10, 11]) family.of('qa').observe(value);
    const { samples } = (await written(family)).get('d_seconds')!;
    expect(samples.filter(({ name }) => name === 'd_seconds_bucket').map(({ labels, value }) => [labels['le'], value])).toEqual([
      ['0.1', 2],
      ['1', 4],
      ['10', 6],
      ['+Inf', 7],
    ]);
    expect(samples.find(({ name }) => name === 'd_seconds_sum')!.value).toBeCloseTo(31.200001);
  });

  it('does not count what is no duration', async () => {
    const family = openHistogram(definition);
    for (const value of [Number.NaN, -1]) family.of('qa').observe(value);
    expect((await written(family)).get('d_seconds')!.samples.find(({ name }) => name === 'd_seconds_count')!.value).toBe(0);
  });
});

describe('a counter', () => {
  it('is written with whatever stands in its labels', async () => {
    const family = openNumbers({ name: 'c_total', type: 'counter', labels: ['model', 'reason'], help: 'with "quotes"\nand lines' });
    const strange = 'a "b" \\ c\nd, e="f"';
    family.of(strange, '').add(2);
    const metric = (await written(family)).get('c_total')!;
    expect(metric.samples).toEqual([{ name: 'c_total', labels: { model: strange, reason: '' }, value: 2 }]);
  });

  it('without labels is there from the start', async () => {
    const family = openNumbers({ name: 'c_total', type: 'counter', labels: [], help: 'c' });
    expect((await written(family)).get('c_total')!.samples).toEqual([{ name: 'c_total', labels: {}, value: 0 }]);
  });

  it('has a limited number of series: the rest is counted together', async () => {
    const family = openNumbers({ name: 'c_total', type: 'counter', labels: ['code'], help: 'c' });
    for (let i = 0; i < SERIES_LIMIT * 2; i++) family.of(`code-${i}`).add();
    const { samples } = (await written(family)).get('c_total')!;
    expect(samples.length).toBe(SERIES_LIMIT + 1);
    expect(samples.find(({ labels }) => labels['code'] === 'other')!.value).toBe(SERIES_LIMIT);
  });
});

it('a series is made once for its key', () => {
  let made = 0;
  const series = once((key: string) => ({ key, number: ++made }));
  expect([series('a'), series('b'), series('a')].map(({ number }) => number)).toEqual([1, 2, 1]);
});
