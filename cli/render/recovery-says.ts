// What is said of cascades, artifacts that are marked or taken back, rollbacks, alerts, replays and checkpoints.
import type { ReplayCounters, RollbackTarget, Selector } from '../../schemas/index.js';
import { type Paint, plural, type Sayers } from './said.js';
import { duration, shortId } from './text.js';

const NAMES: { readonly [K in keyof Selector]-?: string } = {
  artifact_id: 'artifact',
  task_id: 'task',
  model: 'model',
  model_digest: 'model digest',
  prompt_version: 'prompt',
  node: 'node',
  config_version: 'configuration',
  from: 'from',
  until: 'until',
};
const IDS: ReadonlySet<string> = new Set(['artifact_id', 'task_id']);

/** Such as `model qwen, from 2026-11-21T10:00:00Z`. */
export const selectorText = (selector: Selector): string =>
  (Object.keys(NAMES) as (keyof Selector)[])
    .flatMap((key) => {
      const value = selector[key];
      return value === undefined ? [] : [`${NAMES[key]} ${IDS.has(key) ? shortId(value) : value}`];
    })
    .join(', ');

export const targetText = (target: RollbackTarget): string => {
  switch (target.kind) {
    case 'cascade':
      return `what cascade ${target.cascade_id} tainted`;
    case 'task':
      return `what task ${target.task_id} made`;
    case 'offset':
      return `everything since ${target.said}`;
    case 'rollback':
      return `rollback ${target.rollback_id}`;
  }
};

interface Counts {
  readonly tainted: number;
  readonly suspect: number;
  readonly cleared: number;
  readonly already_tainted: number;
  readonly depth: number;
}
/** How far a cascade is. */
export const countsText = ({ tainted, suspect, cleared, already_tainted, depth }: Counts): string =>
  [
    `${tainted.toLocaleString('en')} tainted`,
    ...(suspect > 0 ? [`${suspect.toLocaleString('en')} suspect`] : []),
    `${cleared.toLocaleString('en')} cleared`,
    ...(already_tainted > 0 ? [`${already_tainted.toLocaleString('en')} tainted before`] : []),
    `depth ${depth}`,
  ].join(', ');

interface Done {
  readonly reverted: number;
  readonly restored: number;
  readonly skipped: number;
  readonly tasks_closed: number;
  readonly tasks_requeued: number;
}
/** What a rollback did. */
export const doneText = ({ reverted, restored, skipped, tasks_closed, tasks_requeued }: Done): string =>
  [
    `${reverted.toLocaleString('en')} reverted`,
    `${restored.toLocaleString('en')} restored`,
    ...(skipped > 0 ? [`${skipped.toLocaleString('en')} left alone (newer since)`] : []),
    ...(tasks_closed > 0 ? [`${plural(tasks_closed, 'task')} closed`] : []),
    ...(tasks_requeued > 0 ? [`${plural(tasks_requeued, 'task')} submitted anew`] : []),
  ].join(', ');

export const OUTCOME_PAINT: Readonly<Partial<Record<string, Paint>>> = {
  completed: 'green',
  nothing_to_do: 'green',
  cut: 'yellow',
  cancelled: 'magenta',
  cancelling: 'magenta',
  refused: 'red',
};
const words = (code: string): string => code.replaceAll('_', ' ');
const because = (detail: string | undefined): string => (detail === undefined || detail === '' ? '' : `: ${detail}`);
const step = (depth: number, edge: 'derived' | 'informed' | undefined, via: string | undefined): string =>
  via === undefined ? 'root' : `depth ${depth}, ${edge === 'informed' ? 'read beside' : 'made from'} ${shortId(via)}`;

const CASCADES: Sayers = {
  'dats.cascade.requested': ({ data }) => ({
    verb: 'cascade',
    detail: `asked for by ${data.by} (${words(data.trigger)}), ${selectorText(data.selector)}: ${data.reason}`,
    paint: 'yellow',
  }),
  'dats.cascade.started': ({ data }) => ({
    verb: 'cascade',
    detail: `from ${plural(data.roots, 'root')}, can reach ${plural(data.reach.artifacts, 'artifact')} of ${plural(data.reach.tasks, 'task')}, depth ${data.reach.depth} (${words(data.trigger)}: ${data.reason})`,
    paint: 'yellow',
  }),
  'dats.cascade.progressed': ({ data }) => ({
    verb: 'cascade',
    detail: `${countsText(data)}, ${plural(data.remaining, 'artifact')} to go`,
    paint: 'dim',
  }),
  'dats.cascade.cancel.requested': ({ data }) => ({
    verb: 'cancel',
    detail: `of the cascade asked by ${data.by}: ${data.reason}`,
    paint: 'magenta',
  }),
  'dats.cascade.completed': ({ data }) => ({
    verb: 'cascade',
    detail: `${data.outcome}: ${countsText(data)}, in ${duration(data.duration_ms)}${because(data.detail)}`,
    paint: OUTCOME_PAINT[data.outcome] ?? 'green',
  }),
};

const ARTIFACTS: Sayers = {
  'dats.artifact.tainted': ({ data }) => ({
    verb: 'tainted',
    detail: `${data.path} (${step(data.depth, data.edge, data.via)}): ${data.reason}`,
    paint: 'red',
  }),
  'dats.artifact.suspect': ({ data }) => ({
    verb: 'suspect',
    detail: `${data.path} (${step(data.depth, data.edge, data.via)})`,
    paint: 'yellow',
  }),
  'dats.artifact.revalidation.requested': ({ data }) => ({
    verb: 'revalidate',
    detail: `of task ${shortId(data.task_id)}, without ${plural(data.without.length, 'tainted input')}, until ${data.due}`,
    paint: 'dim',
  }),
  'dats.artifact.revalidated': ({ data }) => ({
    verb: data.verdict,
    detail: `of task ${shortId(data.task_id)}, profile ${data.profile}${data.checks.length > 0 ? `, ${data.checks.map((check) => `${check.name} ${check.status}`).join(', ')}` : ''}${because(data.reasons[0])}`,
    paint: data.verdict === 'cleared' ? 'green' : 'red',
  }),
  'dats.artifact.reverted': ({ data }) => ({
    verb: 'reverted',
    detail: `${data.path} ${data.to === undefined ? 'is gone: no good version is left' : `goes back to ${shortId(data.to)}`}`,
    paint: 'magenta',
  }),
  'dats.artifact.restored': ({ data }) => ({
    verb: 'restored',
    detail: `${data.path} stands again${data.replaces === undefined ? '' : `, instead of ${shortId(data.replaces)}`}${data.mark === 'clean' ? '' : ` (${data.mark})`}`,
    paint: 'cyan',
  }),
};

const ROLLBACKS: Sayers = {
  'dats.rollback.requested': ({ data }) => ({
    verb: 'rollback',
    detail: `of ${targetText(data.target)}, tasks ${data.tasks}, asked for by ${data.by}: ${data.reason}`,
    paint: 'magenta',
  }),
  'dats.rollback.started': ({ data }) => ({
    verb: 'rollback',
    detail: `of ${targetText(data.target)}: ${plural(data.paths, 'path')}, ${plural(data.affected_tasks, 'task')}`,
    paint: 'magenta',
  }),
  'dats.rollback.completed': ({ data }) => ({
    verb: 'rollback',
    detail: `${words(data.outcome)}: ${doneText(data)}, in ${duration(data.duration_ms)}${because(data.detail)}`,
    paint: OUTCOME_PAINT[data.outcome] ?? 'green',
  }),
};

const callsText = ({ served, missed, diverged }: ReplayCounters): string => `${served} served, ${missed} missed, ${diverged} diverged`;

const OTHERS: Sayers = {
  'dats.security.alert': ({ data }) => ({
    verb: 'alert',
    detail: `${data.severity} ${data.kind}, ${data.artifact_id === undefined ? `task ${shortId(data.task_id ?? '?')}` : `artifact ${shortId(data.artifact_id)}`} (by ${data.by}): ${data.detail}`,
    paint: 'red',
  }),
  'dats.replay.requested': ({ data }) => ({
    verb: 'replay',
    detail: `${data.grade}, changes ${Object.keys(data.changes).join(', ') || 'nothing'}, at most ${plural(data.max_calls, 'call')}, asked for by ${data.by}: ${data.reason}`,
    paint: 'cyan',
  }),
  'dats.replay.progressed': ({ data }) => ({
    verb: 'replay',
    detail: `${data.lane} ${data.done.toLocaleString('en')} of ${data.total.toLocaleString('en')}`,
    paint: 'dim',
  }),
  'dats.replay.completed': ({ data }) => ({
    verb: 'replayed',
    detail: `${words(data.verdict)}: ${data.summary} (${plural(data.tasks, 'task')} in ${duration(data.duration_ms)}; calls ${callsText(data.candidate)})`,
    paint: data.verdict === 'pass' ? 'green' : 'yellow',
  }),
  'dats.replay.failed': ({ data }) => ({ verb: 'replay', detail: `failed: ${data.error.code}: ${data.error.message}`, paint: 'red' }),
  'dats.audit.checkpoint': ({ data }) => ({
    verb: 'checkpoint',
    detail: `${plural(data.size, 'event')} of ${data.project_id} signed, root ${data.root.slice(0, 12)}`,
    paint: 'dim',
  }),
};

export const RECOVERY_SAYERS: Sayers = { ...CASCADES, ...ARTIFACTS, ...ROLLBACKS, ...OTHERS };
