// `dats dlq`: what could not be processed, and what to do with it.
import { EXIT } from '../exit.js';
import { harmless, table } from '../render/index.js';
import type { Action, Register } from '../session.js';
import { wholeNumber } from './options.js';

const showAll: Action = async (session, _args, options) => {
  const filter = { state: options.state as string | undefined, limit: Number(options.limit) };
  const { items, next } = await (await session.client()).deadLetters(filter, { signal: session.io.signal });
  for (const letter of items) session.data(letter);
  session.say(
    ...(items.length === 0
      ? ['no dead letters']
      : table(items, [
          { heading: 'id', cell: (letter) => letter.id },
          { heading: 'state', cell: (letter) => letter.state },
          { heading: 'type', cell: (letter) => letter.type },
          { heading: 'code', cell: (letter) => letter.code },
          { heading: 'att', cell: (letter) => letter.attempts },
          { heading: 'failed', cell: (letter) => letter.failed_at.slice(0, 19).replace('T', ' ') },
          { heading: 'message', cell: (letter) => letter.message, max: 80 },
        ])),
  );
  if (next !== undefined) session.note(`(the newest ${items.length}; more with --limit)`);
  return EXIT.ok;
};

const showOne: Action = async (session, [id]) => {
  const letter = await (await session.client()).deadLetter(id!, { signal: session.io.signal });
  session.data(letter);
  for (const [name, value] of Object.entries(letter))
    session.say(`${name.padEnd(16)} ${typeof value === 'string' ? harmless(value) : JSON.stringify(value)}`);
  return EXIT.ok;
};

const resolve =
  (how: 'retry' | 'discard'): Action =>
  async (session, [id]) => {
    const letter = await (await session.client()).resolveDeadLetter(id!, how, { signal: session.io.signal });
    session.data(letter);
    session.say(`${id}: ${how === 'retry' ? 'put back to be processed again' : 'discarded; it stays on record'}`);
    return EXIT.ok;
  };

export const dlq: Register = (program, run) => {
  const command = program
    .command('dlq')
    .description('dead letters: what could not be processed')
    .addHelpText('after', '\nExamples:\n  dats dlq list --state open\n  dats dlq show p0-17\n  dats dlq retry p0-17');
  command
    .command('list')
    .description('list them, newest first')
    .option('--state <state>', 'open, retried or discarded')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1000), 50)
    .action(run(showAll));
  command.command('show <id>').description('show one with the original record').action(run(showOne));
  command
    .command('retry <id>')
    .description('process it again')
    .action(run(resolve('retry')));
  command
    .command('discard <id>')
    .description('give it up; it stays on record')
    .action(run(resolve('discard')));
};
