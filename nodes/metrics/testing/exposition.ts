// A strict reader of Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), for tests: what it takes, Prometheus takes.
// @throws Error with the line, at the first thing that is not as the format says.

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

const refuse = (line: string, why: string): never => {
  throw new Error(`${why}: ${line}`);
};

const numberIn = (text: string, line: string): number => {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  if (text === 'NaN') return Number.NaN;
  return /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text) ? Number(text) : refuse(line, 'not a number');
};

const labelsOf = (text: string | undefined, line: string): Record<string, string> => {
  const labels: Record<string, string> = {};
  if (text === undefined || text === '') return labels;
  for (LABEL.lastIndex = 0; LABEL.lastIndex < text.length; ) {
    const match = LABEL.exec(text) ?? refuse(line, 'labels are not well formed');
    if (Object.hasOwn(labels, match[1]!)) refuse(line, `label ${match[1]} twice`);
    labels[match[1]!] = match[2]!.replace(/\\(["\\n])/g, (_, char) => (char === 'n' ? '\n' : char));
  }
  return labels;
};

/** Buckets of each series rise, end with +Inf, and that is the count. */
const checkHistogram = ({ name, samples }: ParsedMetric): void => {
  const series = new Map<string, { buckets: [number, number][]; count?: number; sum?: number }>();
  for (const sample of samples) {
    const { le, ...labels } = sample.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    const one = series.get(key) ?? { buckets: [] };
    series.set(key, one);
    if (sample.name.endsWith('_bucket')) one.buckets.push([numberIn(le ?? '', sample.name), sample.value]);
    else if (sample.name.endsWith('_count')) one.count = sample.value;
    else one.sum = sample.value;
  }
  for (const [key, { buckets, count, sum }] of series) {
    const rises = buckets.every(([le, value], i) => i === 0 || (le > buckets[i - 1]![0] && value >= buckets[i - 1]![1]));
    if (!rises || buckets.at(-1)?.[0] !== Number.POSITIVE_INFINITY || buckets.at(-1)?.[1] !== count || sum === undefined)
      refuse(`${name} ${key}`, 'not a histogram');
  }
};

export const parseExposition = (text: string): ReadonlyMap<string, ParsedMetric> => {
  if (!text.endsWith('\n')) throw new Error('the last line does not end with a line feed');
  const metrics = new Map<string, { name: string; type: string; help: string; samples: ParsedSample[] }>();
  const seen = new Set<string>();
  let help: [string, string] | undefined;
  let current: { name: string; type: string; help: string; samples: ParsedSample[] } | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') help = [name, rest];
    else if (keyword === 'TYPE') {
      if (!NAME.test(name) || !Object.hasOwn(SUFFIXES, rest)) refuse(line, 'not a type');
      if (metrics.has(name)) refuse(line, 'a metric twice');
      if (help?.[0] !== name) refuse(line, 'a metric without help');
      current = { name, type: rest, help: help![1], samples: [] };
      metrics.set(name, current);
    } else if (line.startsWith('#')) refuse(line, 'not a comment of the format');
    else {
      const match = SAMPLE.exec(line) ?? refuse(line, 'not a sample');
      const labels = labelsOf(match[2], line);
      if (current === undefined || !SUFFIXES[current.type]!.some((suffix) => match[1] === `${current!.name}${suffix}`))
        refuse(line, 'a sample outside its metric');
      const key = `${match[1]} ${JSON.stringify(Object.entries(labels).sort())}`;
      if (seen.has(key)) refuse(line, 'a series twice');
      seen.add(key);
      current!.samples.push({ name: match[1]!, labels, value: numberIn(match[3]!, line) });
    }
  }
  for (const metric of metrics.values()) if (metric.type === 'histogram') checkHistogram(metric);
  return metrics;
};
