// Views as lines: a task, lists of tasks, a project, models.
import type { ArtifactView, ProjectStatus, TaskState, TaskView } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { table } from './table.js';
import { bytes, clip, duration, oneLine } from './text.js';

const PAINT: Partial<Record<TaskState, 'green' | 'red' | 'magenta' | 'yellow' | 'cyan'>> = {
  completed: 'green',
  failed: 'red',
  cancelled: 'magenta',
  retrying: 'yellow',
  running: 'cyan',
  validating: 'cyan',
};

export const paintState = (state: TaskState, colours: Colours): ((text: string) => string) => {
  const paint = PAINT[state];
  return paint === undefined ? (text) => text : colours[paint];
};

export const taskTable = (tasks: readonly TaskView[], colours: Colours = plain): readonly string[] =>
  table(
    tasks,
    [
      { heading: 'task', cell: (task) => task.task_id },
      { heading: 'state', cell: (task) => task.state, paint: (task, c) => paintState(task.state, c) },
      { heading: 'att', cell: (task) => task.attempt },
      { heading: 'tier', cell: (task) => task.tier },
      { heading: 'project', cell: (task) => task.project_id, max: 24 },
      { heading: 'created', cell: (task) => task.created_at.slice(0, 19).replace('T', ' ') },
      { heading: 'title', cell: (task) => task.title, max: 60 },
    ],
    colours,
  );

/** Everything worth knowing about one task, one fact a line. */
export const taskLines = (task: TaskView, colours: Colours = plain): readonly string[] => {
  const facts: [string, string | null | undefined][] = [
    ['task', task.task_id],
    ['title', clip(oneLine(task.title), 120)],
    ['project', `${task.project_id}, priority ${task.priority}`],
    ['state', paintState(task.state, colours)(task.state) + (task.waiting_for === null ? '' : ` (${oneLine(task.waiting_for)})`)],
    ['marked', task.flags.length === 0 ? null : colours.red(task.flags.join(', ').replaceAll('_', ' '))],
    ['route', task.mode === null ? null : `${task.mode} ${task.domain} -> tier ${task.tier}, attempt ${task.attempt}`],
    ['model', task.model === null ? null : `${task.model}${task.scripted ? ' (scripted: no model was asked)' : ''}`],
    ['created', task.created_at],
    ['ended', task.completed_at],
    ['took', task.execution_time_ms === null ? null : duration(task.execution_time_ms)],
    ['part of', task.parent_id],
    ['subtasks', task.children.join(', ') || null],
    ['after', task.depends_on.join(', ') || null],
    ['error', task.error === null ? null : `${task.error.code}: ${oneLine(task.error.message)}`],
  ];
  const lines = facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => `${name.padEnd(10)}${value}`);
  if (task.verdict !== null)
    lines.push(
      `${'verdict'.padEnd(10)}${task.verdict.passed ? 'passed' : 'rejected'}, profile ${task.verdict.profile}, attempt ${task.verdict.attempt}`,
      ...task.verdict.checks.map(
        (check) => `  ${check.status.padEnd(8)}${check.name}${check.detail === undefined ? '' : `  ${clip(oneLine(check.detail), 140)}`}`,
      ),
    );
  if (task.artifacts.length > 0)
    lines.push(
      'artifacts',
      ...task.artifacts.map((a) => `  ${a.artifact_id}  ${a.path}  ${a.type}, ${bytes(a.bytes)}, sha256 ${a.sha256.slice(0, 12)}`),
    );
  return lines;
};

export const projectLines = (project: ProjectStatus): readonly string[] => {
  const counts = Object.entries(project.counts).filter(([, n]) => n > 0);
  return [
    `project   ${project.project_id} (home ${project.home})`,
    `tasks     ${project.total}${counts.length > 0 ? `: ${counts.map(([state, n]) => `${n} ${state}`).join(', ')}` : ''}`,
    `running   ${project.running} of at most ${project.max_running}, ${project.queued} queued`,
    `rate      ${project.completed_per_minute.toFixed(1)} completed a minute`,
    ...(project.duration_p50_ms === null || project.duration_p95_ms === null
      ? []
      : [`duration  p50 ${duration(project.duration_p50_ms)}, p95 ${duration(project.duration_p95_ms)}`]),
    ...(project.oldest_open === null ? [] : [`oldest    open since ${project.oldest_open}`]),
  ];
};

/** Where an artifact came from, in one line. */
export const originLine = (artifact: ArtifactView): string =>
  `${artifact.path}  ${bytes(artifact.bytes)}, sha256 ${artifact.sha256.slice(0, 12)}; made by ${artifact.model}${artifact.scripted ? ' (scripted: no model was asked)' : ` (${artifact.provider})`}, prompt ${artifact.prompt_version}, attempt ${artifact.attempt}${artifact.consumed.length > 0 ? `, from ${artifact.consumed.length} input${artifact.consumed.length === 1 ? '' : 's'}` : ''}${artifact.accepted ? '' : ', NOT accepted by the checks'}${artifact.taint === 'clean' ? '' : `, ${artifact.taint.toUpperCase()}`}`;
