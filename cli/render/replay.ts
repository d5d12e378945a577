// A replay for people: the lanes side by side, the calls, what came out otherwise, and the verdict in words.
import type { ReplayDifference, ReplayLane, ReplayReport } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { table } from './table.js';
import { duration, oneLine, shortId } from './text.js';

const percent = (share: number | null): string => (share === null ? '-' : `${Math.round(share * 1000) / 10} %`);
const usd = (value: number | null, unpriced = 0): string =>
  value === null ? 'no price' : `$${value.toFixed(value < 10 ? 4 : 2)}${unpriced > 0 ? ` (${unpriced} without a price)` : ''}`;
const ms = (value: number | null): string => (value === null ? '-' : duration(value));
const number = (value: number): string => value.toLocaleString('en-US');

const ROWS: readonly { readonly what: string; readonly cell: (lane: ReplayLane) => string }[] = [
  { what: 'tasks', cell: ({ tasks }) => number(tasks) },
  { what: 'completed', cell: ({ completed }) => number(completed) },
  { what: 'failed', cell: ({ failed }) => number(failed) },
  { what: 'cancelled', cell: ({ cancelled }) => number(cancelled) },
  { what: 'attempts', cell: ({ attempts }) => number(attempts) },
  { what: 'at the first attempt', cell: ({ first_pass_yield }) => percent(first_pass_yield) },
  { what: 'rejected', cell: ({ rejected }) => number(rejected) },
  { what: 'without an answer', cell: ({ unanswered }) => number(unanswered) },
  { what: 'tokens in', cell: ({ tokens_in }) => number(tokens_in) },
  { what: 'tokens out', cell: ({ tokens_out }) => number(tokens_out) },
  { what: 'cost', cell: ({ cost_usd, unpriced }) => usd(cost_usd, unpriced) },
  { what: 'lead time, half', cell: ({ lead_ms_p50 }) => ms(lead_ms_p50) },
  { what: 'lead time, 95 %', cell: ({ lead_ms_p95 }) => ms(lead_ms_p95) },
  { what: 'first to last', cell: ({ makespan_ms }) => duration(makespan_ms) },
];

type Row = (typeof ROWS)[number];

const laneRows = ({ lanes }: ReplayReport): readonly Row[] => {
  const all = [lanes.observed, lanes.baseline, lanes.candidate];
  const keys = (of: (lane: ReplayLane) => object): string[] => [...new Set(all.flatMap((lane) => Object.keys(of(lane))))];
  const share = (what: string, of: (lane: ReplayLane) => ReplayLane['by_model'][string] | undefined): Row => ({
    what,
    cell: (lane) => {
      const found = of(lane);
      return found === undefined ? '-' : `${found.passed} of ${found.attempts} passed`;
    },
  });
  return [
    ...ROWS,
    ...keys(({ by_tier }) => by_tier).map((tier) => share(`tier ${tier}`, ({ by_tier }) => by_tier[tier as keyof typeof by_tier])),
    ...keys(({ by_model }) => by_model).map((model) => share(`model ${model}`, ({ by_model }) => by_model[model])),
  ];
};

const changedText = (difference: ReplayDifference): string => {
  const { tier, model, attempts, end, artifacts, tokens, cost_usd, lead_ms } = difference;
  const pair = <T>(what: string, change: { from: T; to: T } | undefined, show: (value: T) => string): string[] =>
    change === undefined ? [] : [`${what} ${show(change.from)} -> ${show(change.to)}`];
  return [
    ...pair('tier', tier, (value) => value ?? '-'),
    ...pair('model', model, (value) => value ?? '-'),
    ...pair('attempts', attempts, String),
    ...pair('end', end, (value) => value),
    ...(artifacts === undefined ? [] : [`artifacts ${artifacts}`]),
    ...pair('tokens', tokens, String),
    ...pair('cost', cost_usd, (value) => usd(value)),
    ...pair('lead', lead_ms, ms),
  ].join(', ');
};

const PAINT = { pass: 'green', hold: 'yellow', not_comparable: 'red' } as const;

/** @param shown how many differences. */
export const replayLines = (report: ReplayReport, colours: Colours = plain, shown = 20): readonly string[] => {
  const { lanes, counters, comparability, estimates, cancels, history } = report;
  const { differences, differences_total: total } = report;
  const lines = [
    `${history.submitted} tasks submitted, ${history.tasks} with their subtasks${history.open === 0 ? '' : `, ${history.open} still open and not judged`}`,
    '',
    ...table(
      laneRows(report),
      [
        { heading: '', cell: ({ what }) => what },
        { heading: 'observed', cell: ({ cell }) => cell(lanes.observed) },
        { heading: 'baseline', cell: ({ cell }) => cell(lanes.baseline) },
        { heading: 'candidate', cell: ({ cell }) => cell(lanes.candidate) },
      ],
      colours,
    ),
    '',
    ...table(
      [
        { lane: 'baseline', ...counters.baseline },
        { lane: 'candidate', ...counters.candidate },
      ],
      [
        { heading: 'calls', cell: ({ lane }) => lane },
        { heading: 'served', cell: ({ served }) => number(served) },
        { heading: 'missed', cell: ({ missed }) => number(missed) },
        { heading: 'blocked', cell: ({ blocked }) => number(blocked) },
        { heading: 'tasks diverged', cell: ({ diverged }) => number(diverged) },
      ],
      colours,
    ),
    '',
    `the baseline reproduces ${percent(comparability.reproduced)} of the tasks; ${percent(comparability.known)} of the candidate's calls are known, ${estimates.outcomes} outcomes are estimates`,
  ];
  if (cancels.fired + cancels.too_late > 0)
    lines.push(`people's cancels, fired again: ${cancels.fired} found their task open, ${cancels.too_late} came after its end`);
  if (total > 0 && shown > 0) {
    const rows = differences.slice(0, shown);
    lines.push(
      '',
      ...table(
        rows,
        [
          { heading: 'task', cell: ({ task_id }) => shortId(task_id) },
          { heading: 'baseline -> candidate', cell: changedText, max: 120 },
        ],
        colours,
      ),
    );
    if (total > rows.length) lines.push(`(${total - rows.length} more)`);
  }
  const paint = colours[PAINT[report.verdict]];
  lines.push('', paint(oneLine(report.summary)), ...report.reasons.map((reason) => `- ${oneLine(reason)}`));
  return lines;
};
