// `dats cascade`: what is marked because something is bad.
import { CASCADE_STATES, cascadeCancelSchema, newId } from '../../schemas/index.js';
import { EXIT } from '../exit.js';
import { CHANGING, LOOKING, withServer } from '../offline.js';
import { cascadeLines, cascadeTable, markLines } from '../render/index.js';
import type { Action, Register } from '../session.js';
import { watchCascades } from './cascade-watch.js';
import { checkedBody } from './checked-body.js';
import { cascadeIdOf } from './newest.js';
import { oneOf, wholeNumber } from './options.js';

const showAll: Action = async (session, _args, options) => {
  const { project, state } = options as Record<string, string | undefined>;
  const limit = Number(options.limit);
  const query = { project_id: project, state: oneOf('--state', state, CASCADE_STATES), limit };
  const cascades = await withServer(session, LOOKING, (client) => client.cascades(query, { signal: session.io.signal }));
  for (const one of cascades) session.data(one);
  session.say(...(cascades.length === 0 ? ['no cascade fits'] : cascadeTable(cascades, session.colours)));
  if (cascades.length >= limit) session.note(`(the newest ${limit}; more with --limit)`);
  return EXIT.ok;
};

const showOne: Action = async (session, [id]) => {
  const { signal } = session.io;
  const view = await withServer(session, LOOKING, async (client) => client.cascade(await cascadeIdOf(client, id!, signal), { signal }));
  session.data(view);
  session.say(...cascadeLines(view, session.colours), ...markLines(view, session.colours));
  return EXIT.ok;
};

const watchOne: Action = async (session, [id]) => {
  const client = await session.client();
  return watchCascades(session, client, [await cascadeIdOf(client, id!, session.io.signal)]);
};

const cancelOne: Action = async (session, [given], options) => {
  const { signal } = session.io;
  const body = checkedBody(cascadeCancelSchema, { reason: options.reason as string | undefined }, { reason: '--reason' });
  const idempotencyKey = newId();
  const view = await withServer(session, CHANGING, async (client, aside) => {
    const id = await cascadeIdOf(client, given!, signal);
    const asked = await client.cancelCascade(id, body, { signal, idempotencyKey });
    return aside ? client.waitForCascade(id, { signal }) : asked;
  });
  session.data(view);
  session.say(`${view.cascade_id}: ${view.state}`);
  if (view.state === 'completed' || view.state === 'cut') session.note('it was over before it could be cancelled');
  return EXIT.ok;
};

export const cascade: Register = (program, run) => {
  const command = program
    .command('cascade')
    .description('cascades: what is marked because something is bad')
    .addHelpText(
      'after',
      '\nExamples:\n  dats cascade list --project website\n  dats cascade show last\n  dats cascade watch 0199a1b2-...\n  dats cascade cancel 0199a1b2-... --reason "the wrong model"',
    );
  command
    .command('list')
    .description('list them, newest first')
    .option('--project <id>', 'of this project')
    .option('--state <state>', CASCADE_STATES.join(', '))
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000), 50)
    .action(run(showAll));
  command.command('show <id>').description('show how one stands, and what it marked').action(run(showOne));
  command
    .command('watch <id>')
    .description('show what it marks, to its end; exit code 1 where it was cancelled, or cut by a limit')
    .action(run(watchOne));
  command
    .command('cancel <id>')
    .description('stop it; what is marked stays marked')
    .option('--reason <text>', 'why; it is kept')
    .action(run(cancelOne));
};
