// What the demo says at the end, and whether everything ended as intended. Pure.
import type { ArtifactView, CallSummary, DatsEvent, TaskView, Tier } from '../../schemas/index.js';
import { type Colours, duration, originLine, paintState, table } from '../render/index.js';
import type { DemoTask } from './tasks.js';

/** What was seen of a task while it ran. */
export interface Trail {
  readonly tiers: Tier[];
  rejections: number;
}

/** The calls of models that an event names. */
const callsIn = (event: DatsEvent): readonly CallSummary[] => {
  switch (event.type) {
    case 'dats.task.analyzed':
    case 'dats.task.decomposed':
    case 'dats.task.output.created':
    case 'dats.task.attempt.failed':
      return event.data.calls ?? [];
    default:
      return [];
  }
};

export const openTrails = () => {
  const trails = new Map<string, Trail>();
  const answered = new Map<string, number>();
  const of = (id: string): Trail => {
    const known = trails.get(id);
    if (known !== undefined) return known;
    const trail: Trail = { tiers: [], rejections: 0 };
    trails.set(id, trail);
    return trail;
  };
  return {
    of,
    /** How many answers came from which model, and through what: also those that were rejected. */
    answered: (): Readonly<Record<string, number>> => Object.fromEntries(answered),
    take: (event: DatsEvent): void => {
      for (const { model, provider, outcome } of callsIn(event)) {
        const name = `${model} (${provider})`;
        if (outcome === 'ok') answered.set(name, (answered.get(name) ?? 0) + 1);
      }
      if (event.type === 'dats.task.ready') of(event.subject).tiers.push(event.data.tier);
      if (event.type === 'dats.task.rejected') of(event.subject).rejections++;
    },
  };
};

export interface Outcome {
  readonly name: string;
  /** Undefined for a subtask. */
  readonly task: DemoTask | undefined;
  readonly view: TaskView;
  readonly trail: Trail;
}

/** What did not end as intended, one line each. `recorded`: the answers are the recorded ones. */
export const deviations = (outcomes: readonly Outcome[], recorded: boolean): readonly string[] =>
  outcomes.flatMap(({ name, task, view, trail }) => {
    const wanted = task?.expect;
    if (wanted === undefined)
      return view.state === 'completed'
        ? []
        : [`${name} is ${view.state}${view.error === null ? '' : `: ${view.error.message}`}; completed was intended`];
    const lines: string[] = [];
    if (view.state !== wanted.state)
      lines.push(
        `${name} is ${view.state}${view.error === null ? '' : ` (${view.error.code}: ${view.error.message})`}; ${wanted.state} was intended`,
      );
    if (wanted.state === 'cancelled' && view.artifacts.length > 0) lines.push(`${name} was cancelled but has artifacts`);
    if (!recorded) return lines;
    if (wanted.rejections !== undefined && trail.rejections !== wanted.rejections)
      lines.push(`${name} was rejected ${trail.rejections} times; ${wanted.rejections} was intended`);
    if (wanted.tiers !== undefined && trail.tiers.join() !== wanted.tiers.join())
      lines.push(`${name} ran on ${trail.tiers.join(' > ') || 'no tier'}; ${wanted.tiers.join(' > ')} was intended`);
    if (wanted.children !== undefined && view.children.length !== wanted.children)
      lines.push(`${name} has ${view.children.length} subtasks; ${wanted.children} were intended`);
    return lines;
  });

export const outcomeTable = (outcomes: readonly Outcome[], colours: Colours): readonly string[] =>
  table(
    outcomes,
    [
      { heading: 'task', cell: ({ name }) => name },
      { heading: 'state', cell: ({ view }) => view.state, paint: ({ view }, c) => paintState(view.state, c) },
      { heading: 'attempts', cell: ({ view }) => (view.children.length > 0 ? null : view.attempt) },
      { heading: 'tier path', cell: ({ trail }) => trail.tiers.join(' > ') || null },
      { heading: 'model', cell: ({ view }) => (view.model === null ? null : `${view.model}${view.scripted ? ' (scripted)' : ''}`) },
      { heading: 'took', cell: ({ view }) => (view.execution_time_ms === null ? null : duration(view.execution_time_ms)) },
    ],
    colours,
  );

export const artifactLines = (rows: readonly { readonly task: string; readonly artifact: ArtifactView }[]): readonly string[] => {
  const width = Math.max(0, ...rows.map(({ task }) => task.length));
  return rows.map(({ task, artifact }) => `  ${task.padEnd(width)}  ${originLine(artifact)}`);
};

/** Recorded answers are told from those of a model by their provider, `scripted`. */
export const answeredLine = (answered: Readonly<Record<string, number>>): string =>
  `answers   ${
    Object.entries(answered)
      .map(([name, count]) => `${count} by ${name}`)
      .join(', ') || 'by nobody'
  }`;
