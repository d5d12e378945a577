// `dats project show`: files and tasks of a project as they are, or as they were.
import type { ProjectState } from '../../schemas/index.js';
import { isFault } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import { projectStateLines } from '../render/index.js';
import type { Action, Register } from '../session.js';
import { placeOf } from './options.js';
import { move, showHome } from './project-home.js';

/** When the first task of a project was created; undefined where there is none. */
const beganAt = async (client: DatsClient, project: string, signal: AbortSignal): Promise<string | undefined> => {
  try {
    const { tasks } = await client.projectState(project, undefined, { signal });
    return tasks.map(({ created_at }) => created_at).sort()[0];
  } catch (error) {
    if (isFault(error) && error.code === 'project_not_found') return undefined;
    throw error;
  }
};

const nothingYet = ({ project_id, at }: ProjectState, began: string | undefined): string =>
  began === undefined
    ? `project ${project_id} has nothing yet: it begins with its first task`
    : `project ${project_id} had nothing yet at ${at}; there is something since ${began}`;

const show: Action = async (session, [project], options) => {
  const { signal } = session.io;
  const at = placeOf('--at', options.at as string | undefined, session.io.now());
  const { state, began } = await withServer(session, LOOKING, async (client) => {
    const state = await client.projectState(project!, at, { signal });
    return { state, began: state.events > 0 || session.json ? undefined : await beganAt(client, project!, signal) };
  });
  session.data(state);
  session.say(
    ...(state.events === 0 ? [nothingYet({ ...state, at: state.at ?? at ?? null }, began)] : projectStateLines(state, session.colours)),
  );
  return EXIT.ok;
};

export const project: Register = (program, run) => {
  const command = program
    .command('project')
    .description('a project as a whole: its files and tasks, now or at any moment, and which node decides it')
    .addHelpText(
      'after',
      '\nExamples:\n  dats project show website\n  dats project show website --at 1h\n  dats project show website --at p0-17 --json | jq -r .files[].path\n  dats project move website --to edge-1 --wait',
    );
  command
    .command('show <project>')
    .description('show which version of each file stands, and how the tasks stand')
    .option(
      '--at <place>',
      'as it was then: 30m, 24h, "1h ago", RFC 3339, a position such as p0-17 (that event included), or the id of an event',
    )
    .action(run(show));
  command
    .command('home <project>')
    .description('show which node decides it, and whether it is on its way to another one')
    .action(run(showHome));
  command
    .command('move <project>')
    .description('have another node decide it: what runs of it ends first, then it goes there with its whole history')
    .requiredOption('--to <node>', 'the node that is to decide it')
    .option('--reason <text>', 'why; it stands in history')
    .option('--by <name>', 'who asks')
    .option('--wait', 'wait until it is there')
    .action(run(move));
};
