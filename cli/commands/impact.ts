// `dats impact`: what was made from something, and what it would take to make it anew.
import { EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import { duration, impactLines, impactTree } from '../render/index.js';
import type { Register } from '../session.js';
import { wholeNumber } from './options.js';
import { artifactOf } from './standing.js';

export const impact: Register = (program, run) => {
  program
    .command('impact <path-or-id>')
    .description('show what was made from an artifact, or from what a task made, and what it would take to make it anew')
    .option('--project <id>', 'of a path: in this project (default: the one that has it)')
    .option('--up', 'what it was made from, instead')
    .option('--depth <n>', 'steps', wholeNumber(0, 1_000), 1_000)
    .option('--limit <n>', 'list at most so many artifacts; all are counted', wholeNumber(0, 10_000), 200)
    .addHelpText(
      'after',
      '\nExamples:\n  dats impact src/lexer.ts\n  dats impact 0199a1b2-... --depth 2\n  dats impact src/parser.ts --up --json | jq .impact',
    )
    .action(
      run(async (session, [what], options) => {
        const { signal } = session.io;
        const direction = options.up === true ? 'up' : 'down';
        const query = { direction, depth: Number(options.depth), limit: Number(options.limit) } as const;
        const answer = await withServer(session, LOOKING, async (client) =>
          client.impact(await artifactOf(client, what!, options.project as string | undefined, signal), query, { signal }),
        );
        session.data(answer);
        session.say(...impactLines(answer.impact, direction, session.colours), ...impactTree(answer, session.colours));
        if (answer.truncated) session.note(`(the first ${answer.nodes.length} of ${answer.impact.artifacts}; more with --limit)`);
        session.note(`found in ${duration(answer.took_ms)}`);
        return EXIT.ok;
      }),
    );
};
