// A project as it is, or as it was, as lines.
import type { ProjectState } from '../../schemas/index.js';
import { paintMark } from './cascade.js';
import { type Colours, plain } from './colours.js';
import { plural } from './said.js';
import { table } from './table.js';
import { oneLine } from './text.js';
import { paintState } from './views.js';

const fact = (name: string, value: string): string => `${name.padEnd(10)}${value}`;
const instant = (time: string): string => time.slice(0, 19).replace('T', ' ');
const inset = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);

/** Files with the version that stands, and tasks. */
export const projectStateLines = (state: ProjectState, colours: Colours = plain): readonly string[] => {
  const counts = Object.entries(state.counts).filter(([, n]) => n > 0);
  return [
    fact('project', `${oneLine(state.project_id)}${state.at === null ? '' : `, as it was at ${oneLine(state.at)}`}`),
    fact('position', state.position === null ? '-' : `${state.position}, ${plural(state.events, 'event')}`),
    fact('time', `${state.time ?? '-'}${state.time === null ? '' : ' (of its last event)'}`),
    fact('config', oneLine(state.config_version ?? '-')),
    fact('files', String(state.files.length)),
    ...(state.files.length === 0
      ? []
      : inset(
          table(
            state.files,
            [
              { heading: 'path', cell: (file) => file.path, max: 80 },
              { heading: 'version', cell: (file) => file.version.artifact_id },
              { heading: 'of', cell: (file) => file.versions },
              { heading: 'mark', cell: (file) => file.version.mark, paint: (file, c) => paintMark(file.version.mark, c) },
              { heading: 'made', cell: (file) => instant(file.version.made_at) },
              { heading: 'sha256', cell: (file) => file.version.sha256.slice(0, 12) },
              { heading: 'task', cell: (file) => file.version.task_id },
            ],
            colours,
          ),
        )),
    fact('tasks', `${state.tasks.length}${counts.length > 0 ? `: ${counts.map(([name, n]) => `${n} ${name}`).join(', ')}` : ''}`),
    ...(state.tasks.length === 0
      ? []
      : inset(
          table(
            state.tasks,
            [
              { heading: 'task', cell: (task) => task.task_id },
              { heading: 'state', cell: (task) => task.state, paint: (task, c) => paintState(task.state, c) },
              { heading: 'att', cell: (task) => task.attempt },
              { heading: 'flags', cell: (task) => task.flags.join(', ') || null },
              { heading: 'created', cell: (task) => instant(task.created_at) },
              { heading: 'title', cell: (task) => task.title, max: 60 },
            ],
            colours,
          ),
        )),
  ];
};
