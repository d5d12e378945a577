// What a rollback would change, and what it changed, as lines.
import type { PathChange, RollbackPlan, RollbackView, Version } from '../../schemas/index.js';
import { paintMark, paintOutcome } from './cascade.js';
import { type Colours, plain } from './colours.js';
import { doneText, targetText } from './recovery-says.js';
import { plural } from './said.js';
import { table } from './table.js';
import { clip, duration, oneLine, shortId } from './text.js';

const fact = (name: string, value: string): string => `${name.padEnd(10)}${value}`;
const instant = (time: string): string => time.slice(0, 19).replace('T', ' ');

const versionText = (version: Version | null, colours: Colours): string => {
  if (version === null) return 'nothing';
  const { artifact_id, mark, task_id, made_at } = version;
  const marked = mark === 'clean' ? '' : `${paintMark(mark, colours)(mark.toUpperCase())}, `;
  return `${shortId(artifact_id)} (${marked}of task ${shortId(task_id)}, ${instant(made_at)})`;
};

const CHANGES_LISTED = 200;
/** What a path goes from and to. @param diffs of a path, where there is one to show */
const changeLines = (change: PathChange, diffs: ReadonlyMap<string, readonly string[]>, colours: Colours): readonly string[] => [
  `  ${colours.bold(oneLine(change.path))}  ${versionText(change.from, colours)} -> ${versionText(change.to, colours)}${change.to === null ? colours.red('  the file goes') : ''}`,
  ...(diffs.get(change.path) ?? []).map((line) => `    ${line}`),
];

const ACTIONS = { cancel: 'is cancelled', redo: 'is submitted anew', keep: 'stays as it is' } as const;
const TASKS_LISTED = 50;

const configText = ({ config_then, config_now }: RollbackPlan): string =>
  config_then === null || config_then === config_now ? oneLine(config_now) : `then ${oneLine(config_then)}, now ${oneLine(config_now)}`;

/** Is there anything that it would do? */
export const changesNothing = ({ changes, tasks }: RollbackPlan): boolean =>
  changes.length === 0 && tasks.every(({ action }) => action === 'keep');

/** The difference that a rollback makes. @param diffs by path */
export const planLines = (
  plan: RollbackPlan,
  diffs: ReadonlyMap<string, readonly string[]> = new Map(),
  colours: Colours = plain,
): readonly string[] => [
  fact('project', oneLine(plan.project_id)),
  fact('back goes', oneLine(targetText(plan.target))),
  fact('config', configText(plan)),
  fact('files', plan.changes.length === 0 ? 'none changes' : plural(plan.changes.length, 'path')),
  ...plan.changes.slice(0, CHANGES_LISTED).flatMap((change) => changeLines(change, diffs, colours)),
  ...(plan.changes.length > CHANGES_LISTED ? [`  (${plan.changes.length - CHANGES_LISTED} more)`] : []),
  fact('tasks', plan.tasks.length === 0 ? 'none is concerned' : plural(plan.tasks.length, 'task')),
  ...plan.tasks.slice(0, TASKS_LISTED).map(({ task_id, state, action }) => `  ${task_id}  ${state.padEnd(9)}  ${ACTIONS[action]}`),
  ...(plan.tasks.length > TASKS_LISTED ? [`  (${plan.tasks.length - TASKS_LISTED} more)`] : []),
];

/** Everything worth knowing about one rollback, one fact a line. */
export const rollbackLines = (view: RollbackView, colours: Colours = plain): readonly string[] => {
  const { config_then, config_now } = view;
  const config = config_now === null ? null : config_then === null ? config_now : `then ${config_then}, now ${config_now}`;
  const took = view.completed_at === null ? '' : ` (took ${duration(Date.parse(view.completed_at) - Date.parse(view.requested_at))})`;
  const state = view.state.replaceAll('_', ' ');
  const facts: readonly (readonly [string, string | null])[] = [
    ['rollback', view.rollback_id],
    ['project', oneLine(view.project_id)],
    ['state', paintOutcome(view.state, colours)(state) + (view.detail === null ? '' : ` (${clip(oneLine(view.detail), 200)})`)],
    ['back goes', oneLine(targetText(view.target))],
    ['because', `${clip(oneLine(view.reason), 200)} (by ${oneLine(view.by)})`],
    ['concerns', `${plural(view.paths, 'path')}, ${plural(view.affected_tasks, 'task')} (tasks: ${view.tasks})`],
    ['done', doneText(view)],
    ['config', config === null ? null : oneLine(config)],
    ['begun', view.requested_at],
    ['ended', view.completed_at === null ? null : `${view.completed_at}${took}`],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [fact(name, value)]));
};

export const rollbackTable = (rollbacks: readonly RollbackView[], colours: Colours = plain): readonly string[] =>
  table(
    rollbacks,
    [
      { heading: 'rollback', cell: (one) => one.rollback_id },
      { heading: 'state', cell: (one) => one.state.replaceAll('_', ' '), paint: (one, c) => paintOutcome(one.state, c) },
      { heading: 'project', cell: (one) => one.project_id, max: 24 },
      { heading: 'paths', cell: (one) => one.paths },
      { heading: 'tasks', cell: (one) => one.affected_tasks },
      { heading: 'begun', cell: (one) => instant(one.requested_at) },
      { heading: 'back goes', cell: (one) => targetText(one.target), max: 70 },
      { heading: 'because', cell: (one) => one.reason, max: 60 },
    ],
    colours,
  );
