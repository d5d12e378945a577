// Counters, gauges and histograms that cost a few nanoseconds where they count; prom-client writes them out when it is asked.
//
// I1. A series is looked up once and held by whoever counts: counting is an addition, without a look-up and without garbage. (prom-client's own children
// look themselves up each time: half a microsecond.) I2. A metric has at most SERIES_LIMIT series; what comes beyond is counted under the value `other`.
import type { Metric } from 'prom-client';
import type { Definition } from './catalogue.js';

/** Series of one metric. The most that a healthy installation has is some hundred. */
export const SERIES_LIMIT = 1_000;
const BEYOND = 'other';

/** One number: a counter (which only `add`s) or a gauge. */
export class NumberSeries {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }

  set(value: number): void {
    this.value = value;
  }
}

export class HistogramSeries {
  /** One for each bound, and one for what is above all of them. */
  readonly counts: Float64Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** What is no number is not counted. */
  observe(value: number): void {
    if (!(value >= 0)) return;
    const bounds = this.#bounds;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    this.counts[low]! += 1;
    this.sum += value;
  }
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family<S> {
  /** The series with these label values, in the order of the definition's labels; made when it is new. */
  of(...values: readonly string[]): S;
  /** Forgets all series: for gauges that are told anew with every scrape. */
  clear(): void;
  /** For prom-client's registry. */
  readonly metric: Metric;
}

const family = <S>(
  definition: Definition,
  make: () => S,
  samplesOf: (series: S, labels: Sample['labels']) => readonly Sample[],
): Family<S> => {
  const { name, help, type, labels } = definition;
  const all = new Map<string, { readonly labels: Sample['labels']; readonly series: S }>();
  const of = (...values: readonly string[]): S => {
    const key = values.join('\u001f');
    const known = all.get(key);
    if (known !== undefined) return known.series;
    if (all.size >= SERIES_LIMIT && values.some((value) => value !== BEYOND)) return of(...values.map(() => BEYOND));
    const series = make();
    all.set(key, { labels: Object.fromEntries(labels.map((label, i) => [label, values[i]!])), series });
    return series;
  };
  if (labels.length === 0) of();
  const get = async () => ({
    name,
    help,
    type,
    aggregator: 'sum',
    values: [...all.values()].flatMap((one) => samplesOf(one.series, one.labels)),
  });
  // What the registry asks of a metric is its name and `get`; its type names the package's own classes.
  return { of, clear: () => all.clear(), metric: { name, help, type, labelNames: labels, get } as unknown as Metric };
};

/** @param definition of a counter or a gauge */
export const openNumbers = (definition: Definition): Family<NumberSeries> =>
  family(
    definition,
    () => new NumberSeries(),
    ({ value }, labels) => [{ metricName: definition.name, labels, value }],
  );

/** @param definition of a histogram, with its buckets */
export const openHistogram = (definition: Definition & { readonly buckets: readonly number[] }): Family<HistogramSeries> => {
  const { name, buckets } = definition;
  return family(
    definition,
    () => new HistogramSeries(buckets),
    ({ counts, sum }, labels) => {
      const samples: Sample[] = [];
      let below = 0;
      for (const [i, bound] of [...buckets, Number.POSITIVE_INFINITY].entries()) {
        below += counts[i]!;
        const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
        samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: below });
      }
      samples.push({ metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: below });
      return samples;
    },
  );
};

/** What `make` gives for a key, made once: how whoever counts holds its series (I1). Only for keys that are few. */
export const once = <K, V>(make: (key: K) => V): ((key: K) => V) => {
  const made = new Map<K, V>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
};
