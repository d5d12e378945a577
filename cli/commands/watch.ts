// `dats watch`: events as they happen, of a task to its end or of a project until Ctrl-C; or the text of a task while a model says it.
//
// W1. Text goes to standard output and nothing else does while it is shown: remarks go to standard error. Where standard output is no terminal, the outcome
// goes there too, so that what is piped is what the model said. W2. Control characters of a model never reach standard output.
import type { DatsClient, TextEvent } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { openEventScreen } from '../followed.js';
import { harmless, taskLines } from '../render/index.js';
import type { Register, Session } from '../session.js';

const fromOf = (text: unknown): 'now' | 'beginning' => {
  if (text !== 'now' && text !== 'beginning') throw badUsage(`--from "${text}" is not one of now, beginning`);
  return text;
};

const connectionRemarks = (session: Session) => ({
  signal: session.io.signal,
  onConnection: (state: 'lost' | 'back') =>
    session.note(state === 'lost' ? 'dats: the connection is lost; reconnecting' : 'dats: connected again'),
});

/** Where the outcome is told after text was shown (W1). */
export const outcomeTeller = (session: Session): Session['say'] => (session.io.tty ? session.say : session.note);

const openTextScreen = (session: Session) => {
  const { io } = session;
  let lineOpen = false;
  let shown: { readonly attempt: number; readonly ended: boolean } | undefined;
  const endLine = (): void => {
    if (lineOpen && !session.json) io.out('\n');
    lineOpen = false;
  };
  const remark = (text: string): void => {
    if (io.tty) endLine();
    session.note(`dats: ${text}`);
  };
  const show = (event: TextEvent): void => {
    session.data(event);
    if (event.type === 'final') return;
    const { attempt } = event;
    if (event.type === 'gap') {
      const lost = event.missed === 1 ? 'a piece is' : `${event.missed} pieces are`;
      remark(`${lost} missing here from the text of attempt ${attempt}`);
    }
    if (event.type === 'end') {
      endLine();
      shown = { attempt, ended: true };
    }
    if (event.type !== 'text') return;
    if (shown !== undefined && attempt !== shown.attempt) {
      endLine();
      remark(`attempt ${attempt} begins; the text before it is of attempt ${shown.attempt}, which was not accepted`);
    } else if (shown?.ended === true) remark(`attempt ${attempt} begins anew; its text so far counts for nothing`);
    shown = { attempt, ended: false };
    const text = harmless(event.text);
    if (text === '') return;
    lineOpen = !text.endsWith('\n');
    if (!session.json) io.out(text);
  };
  return { show, close: endLine };
};

/** Shows what a model says about a task until the task is over. */
export const showText = async (session: Session, client: DatsClient, id: string): Promise<void> => {
  const screen = openTextScreen(session);
  try {
    for await (const event of client.text(id, connectionRemarks(session))) screen.show(event);
  } finally {
    screen.close();
  }
};

const watchText = async (session: Session, client: DatsClient, task: string): Promise<number> => {
  await showText(session, client, task);
  const view = await client.wait(task, { signal: session.io.signal });
  session.data(view);
  outcomeTeller(session)(...(session.quiet ? [`${view.task_id} ${view.state}`] : taskLines(view, session.colours)));
  return view.state === 'completed' ? EXIT.ok : EXIT.failed;
};

const watchStream = async (session: Session, task: string | undefined, options: Readonly<Record<string, unknown>>): Promise<number> => {
  if (task !== undefined && options.project !== undefined) throw badUsage('both a task and --project are given; give one of them');
  if (options.stream === true && task === undefined)
    throw badUsage('--stream shows what the model says about one task; give the id of the task: dats watch <task> --stream');
  const client = await session.client();
  if (options.stream === true) return watchText(session, client, task!);
  const screen = openEventScreen(session);
  const following = connectionRemarks(session);
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
    .option('--stream', 'with a task: show what the model says, as it says it, then the outcome')
    .addHelpText(
      'after',
      '\nExamples:\n  dats watch 0199a1b2-...\n  dats watch 0199a1b2-... --stream > said.txt      what the model says; the outcome on standard error\n  dats watch --project website --json | jq .type',
    )
    .action(run((session, [task], options) => watchStream(session, task, options)));
};
