// What can be reached, and what a cascade marks, as lines.
import type { CascadeAnswer, CascadeView, DatsEvent, Impact, ImpactAnswer, ImpactNode, Mark } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { say } from './event-line.js';
import { countsText, OUTCOME_PAINT, selectorText } from './recovery-says.js';
import { type Paint, plural } from './said.js';
import { table } from './table.js';
import { clip, duration, oneLine } from './text.js';

const MARK_PAINT: Readonly<Record<string, 'red' | 'yellow' | 'green'>> = { tainted: 'red', suspect: 'yellow', cleared: 'green' };
export const paintMark = (mark: string, colours: Colours): ((text: string) => string) => {
  const paint = MARK_PAINT[mark];
  return paint === undefined ? (text) => text : colours[paint];
};

const fact = (name: string, value: string): string => `${name.padEnd(11)}${value}`;
const number = (n: number): string => n.toLocaleString('en');

const forecastText = ({ executions, tokens, model_ms, cost_usd, unpriced }: Impact['forecast']): string => {
  const price = cost_usd === null ? 'cost not known' : `${Number(cost_usd.toPrecision(6))} USD`;
  const without = unpriced > 0 && cost_usd !== null ? ` (without ${plural(unpriced, 'execution')} of no known price)` : '';
  return `${plural(executions, 'execution')}, ${plural(tokens, 'token')}, ${duration(model_ms)} of model time, ${price}${without}`;
};

/** What is reached in one project, one fact a line. */
export const impactLines = (impact: Impact, direction: 'down' | 'up' = 'down', colours: Colours = plain): readonly string[] => {
  const marks = (Object.entries(impact.by_mark) as [Mark, number][]).filter(([, n]) => n > 0);
  const open = impact.open_tasks > 0 ? `, ${number(impact.open_tasks)} of them open` : '';
  return [
    fact('project', oneLine(impact.project_id)),
    fact('reaches', `${plural(impact.artifacts, 'artifact')} of ${plural(impact.tasks, 'task')}${open}, ${plural(impact.paths, 'path')}`),
    fact('by depth', `${impact.by_depth.map(number).join(', ')} (deepest ${impact.depth}; the first are the roots)`),
    fact('now', marks.map(([mark, n]) => paintMark(mark, colours)(`${number(n)} ${mark}`)).join(', ') || '-'),
    ...(direction === 'down' ? [fact('to redo', forecastText(impact.forecast))] : []),
    ...(impact.cut ? [colours.yellow('a limit cut it: there is more')] : []),
  ];
};

const nodeLabel = (node: ImpactNode, colours: Colours): string => {
  const facts = [
    node.model === null ? null : oneLine(node.model),
    node.edge === 'informed' ? 'read beside' : null,
    node.head ? null : 'superseded',
    node.mark === 'clean' ? null : paintMark(node.mark, colours)(node.mark.toUpperCase()),
  ].filter((one) => one !== null);
  return `${node.path === null ? '(not recorded here)' : oneLine(node.path)}  ${colours.dim(node.artifact_id)}${facts.length === 0 ? '' : `  ${facts.join(', ')}`}`;
};

/** Each artifact below the one through which it was reached first. */
export const impactTree = ({ nodes }: Pick<ImpactAnswer, 'nodes'>, colours: Colours = plain): readonly string[] => {
  const listed = new Set(nodes.map(({ artifact_id }) => artifact_id));
  const below = new Map<string | null, ImpactNode[]>();
  for (const node of nodes) {
    const via = node.via !== null && listed.has(node.via) && node.via !== node.artifact_id ? node.via : null;
    const known = below.get(via);
    if (known === undefined) below.set(via, [node]);
    else known.push(node);
  }
  const lines: string[] = [];
  const unfold = (node: ImpactNode, lead: string, stem: string): void => {
    lines.push(lead + nodeLabel(node, colours));
    const inner = below.get(node.artifact_id) ?? [];
    inner.forEach((one, i) => {
      const last = i === inner.length - 1;
      unfold(one, stem + (last ? '└─ ' : '├─ '), stem + (last ? '   ' : '│  '));
    });
  };
  for (const root of below.get(null) ?? []) unfold(root, '', '');
  return lines;
};

export const paintOutcome = (state: string, colours: Colours): ((text: string) => string) => {
  const paint = OUTCOME_PAINT[state];
  return paint === undefined ? (text) => text : colours[paint];
};
const toGo = ({ remaining }: CascadeView): string => (remaining > 0 ? `, ${number(remaining)} to go` : '');

/** Everything worth knowing about one cascade, one fact a line. */
export const cascadeLines = (view: CascadeView, colours: Colours = plain): readonly string[] => {
  const took = view.completed_at === null ? '' : ` (took ${duration(Date.parse(view.completed_at) - Date.parse(view.requested_at))})`;
  const facts: readonly (readonly [string, string | null])[] = [
    ['cascade', view.cascade_id],
    ['project', oneLine(view.project_id)],
    ['part of', view.recall_id === null || view.recall_id === view.cascade_id ? null : `recall ${view.recall_id}`],
    ['state', paintOutcome(view.state, colours)(view.state) + (view.detail === null ? '' : ` (${clip(oneLine(view.detail), 200)})`)],
    ['because', `${clip(oneLine(view.reason), 200)} (${view.trigger.replaceAll('_', ' ')}, by ${oneLine(view.by)})`],
    ['bad', `${oneLine(selectorText(view.selector))} (${plural(view.roots, 'root')})`],
    ['reaches', `${plural(view.reach.artifacts, 'artifact')} of ${plural(view.reach.tasks, 'task')}, depth ${view.reach.depth}`],
    ['marked', countsText(view) + toGo(view)],
    ['begun', view.requested_at],
    ['ended', view.completed_at === null ? null : `${view.completed_at}${took}`],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [fact(name, value)]));
};

/** What a cascade marked, below each other by depth. */
export const markLines = (
  { marks, truncated }: Pick<CascadeAnswer, 'marks' | 'truncated'>,
  colours: Colours = plain,
): readonly string[] => [
  ...marks.map((mark) => {
    const verdict = mark.verdict === null || mark.verdict === 'cleared' ? '' : ` (revalidation: ${mark.verdict})`;
    return `  ${paintMark(mark.state, colours)(mark.state.padEnd(8))}  ${indent(mark.depth)}${oneLine(mark.path)}  ${colours.dim(mark.artifact_id)}${verdict}`;
  }),
  ...(truncated ? [`  (the first ${number(marks.length)})`] : []),
];

export const cascadeTable = (cascades: readonly CascadeView[], colours: Colours = plain): readonly string[] =>
  table(
    cascades,
    [
      { heading: 'cascade', cell: (one) => one.cascade_id },
      { heading: 'state', cell: (one) => one.state, paint: (one, c) => paintOutcome(one.state, c) },
      { heading: 'project', cell: (one) => one.project_id, max: 24 },
      { heading: 'tainted', cell: (one) => one.tainted },
      { heading: 'suspect', cell: (one) => one.suspect },
      { heading: 'cleared', cell: (one) => one.cleared },
      { heading: 'begun', cell: (one) => one.requested_at.slice(0, 19).replace('T', ' ') },
      { heading: 'bad', cell: (one) => selectorText(one.selector), max: 50 },
      { heading: 'because', cell: (one) => one.reason, max: 60 },
    ],
    colours,
  );

/** Deeper than this, lines go no further to the right. */
const INDENT_LIMIT = 20;
const indent = (depth: number): string => '  '.repeat(Math.min(depth, INDENT_LIMIT));
const VERB_WIDTH = 9;
const DETAIL_WIDTH = 160;

/** The lines of a cascade while it goes on: each artifact below what it was reached from. Undefined for an event that is worth no line of its own. */
export const openCascadeLines = (colours: Colours = plain): ((event: DatsEvent) => string | undefined) => {
  /** Suspects without a verdict: the verdict does not say where they lie. */
  const suspects = new Map<string, { readonly path: string; readonly depth: number }>();
  let start: number | undefined;
  const line = (event: DatsEvent, verb: string, paint: Paint, rest: string): string => {
    const seconds = Math.max(0, Date.parse(event.time) - (start ?? 0)) / 1_000;
    return `${colours.dim(`+${seconds.toFixed(2)}s`.padStart(8))}  ${colours[paint](verb.padEnd(VERB_WIDTH))} ${rest}`.trimEnd();
  };
  const place = (path: string, depth: number, id: string): string => `${indent(depth)}${oneLine(path)}  ${colours.dim(id)}`;
  return (event) => {
    start ??= Date.parse(event.time);
    if (event.type === 'dats.cascade.progressed' || event.type === 'dats.artifact.revalidation.requested') return undefined;
    if (event.type === 'dats.artifact.tainted') {
      const { artifact_id, path, depth, cause, reason } = event.data;
      suspects.delete(artifact_id);
      // Why a suspect did not pass was said with its verdict.
      const why = cause !== 'root' ? '' : `  ${clip(oneLine(reason), DETAIL_WIDTH)}`;
      return line(event, 'tainted', 'red', place(path, depth, artifact_id) + why);
    }
    if (event.type === 'dats.artifact.suspect') {
      const { artifact_id, path, depth } = event.data;
      suspects.set(artifact_id, { path, depth });
      return line(event, 'suspect', 'yellow', place(path, depth, artifact_id));
    }
    if (event.type === 'dats.artifact.revalidated') {
      const { artifact_id, verdict, reasons } = event.data;
      const { path, depth } = suspects.get(artifact_id) ?? { path: '(marked before)', depth: 0 };
      if (verdict === 'cleared') suspects.delete(artifact_id);
      const why = reasons[0] === undefined ? '' : `  ${clip(oneLine(reasons[0]), DETAIL_WIDTH)}`;
      return line(event, verdict, verdict === 'cleared' ? 'green' : 'red', place(path, depth, artifact_id) + why);
    }
    const { verb, detail, paint } = say(event);
    return line(event, verb, paint ?? 'dim', clip(oneLine(detail), DETAIL_WIDTH));
  };
};
