// `dats watch`: events as they happen, of a task to its end or of a project until Ctrl-C.
import { badUsage, EXIT } from '../exit.js';
import { openEventScreen } from '../followed.js';
import type { Register, Session } from '../session.js';

const fromOf = (text: unknown): 'now' | 'beginning' => {
  if (text !== 'now' && text !== 'beginning') throw badUsage(`--from "${text}" is not one of now, beginning`);
  return text;
};

const watchStream = async (session: Session, task: string | undefined, options: Readonly<Record<string, unknown>>): Promise<number> => {
  if (task !== undefined && options.project !== undefined) throw badUsage('both a task and --project are given; give one of them');
  const client = await session.client();
  const screen = openEventScreen(session);
  const following = {
    signal: session.io.signal,
    onConnection: (state: 'lost' | 'back') =>
      session.note(state === 'lost' ? 'dats: the connection is lost; reconnecting' : 'dats: connected again'),
  };
  let last = '';
  try {
    const stream =
      task === undefined
        ? client.projectEvents(String(options.project ?? 'default'), { ...following, from: fromOf(options.from) })
        : client.events(task, following);
    for await (const followed of stream) {
      screen.show(followed);
      if (followed.event.subject === task) last = followed.event.type;
    }
  } finally {
    screen.close();
  }
  return last === 'dats.task.failed' || last === 'dats.task.cancelled' ? EXIT.failed : EXIT.ok;
};

export const watch: Register = (program, run) => {
  program
    .command('watch [task]')
    .description('show what happens, one line an event; survives a restart of the server')
    .option('--project <id>', 'every task of a project (default: the project "default")')
    .option('--from <where>', 'with a project: now or beginning', 'now')
    .addHelpText('after', '\nExamples:\n  dats watch 0199a1b2-...\n  dats watch --project website --json | jq .type')
    .action(run((session, [task], options) => watchStream(session, task, options)));
};
