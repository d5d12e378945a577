// `dats stats`: the questions that come with the product, and their answers.
import { EXIT } from '../exit.js';
import { withServer } from '../offline.js';
import { rowObjects, rowsTable, table } from '../render/index.js';
import type { Register, Session } from '../session.js';
import { instantOf, wholeNumber } from './options.js';

const showList = async (session: Session): Promise<number> => {
  const questions = await withServer(session, { needs: 'history' }, (client) => client.statsList({ signal: session.io.signal }));
  for (const one of questions) session.data(one);
  session.say(
    ...table(questions, [
      { heading: 'name', cell: (one) => one.name },
      { heading: 'question', cell: (one) => one.question, max: 160 },
    ]),
  );
  return EXIT.ok;
};

export const stats: Register = (program, run) => {
  program
    .command('stats [name]')
    .description('figures of models, nodes, costs, failures and more; without a name: which there are')
    .option('--project <id>', 'of this project')
    .option('--since <time>', 'from then: 30m, 24h, 7d, or RFC 3339')
    .option('--until <time>', 'before then, in the same forms')
    .option('--limit <n>', 'at most so many rows', wholeNumber(1, 10_000), 100)
    .addHelpText(
      'after',
      '\nExamples:\n  dats stats\n  dats stats models --since 24h\n  dats stats costs --project website --json | jq .cost_usd',
    )
    .action(
      run(async (session, [name], options) => {
        if (name === undefined) return showList(session);
        const { project, since, until } = options as Record<string, string | undefined>;
        const now = session.io.now();
        const filter = {
          project_id: project,
          since: instantOf('--since', since, now),
          until: instantOf('--until', until, now),
          limit: Number(options.limit),
        };
        const answer = await withServer(session, { needs: 'history' }, (client) =>
          client.stats(name, filter, { signal: session.io.signal }),
        );
        for (const row of rowObjects(answer)) session.data(row);
        session.note(answer.question);
        session.say(...(answer.rows.length === 0 ? ['nothing to count'] : rowsTable(answer, session.io.columns, session.colours)));
        return EXIT.ok;
      }),
    );
};
