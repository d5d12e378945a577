// `dats nodes`: which nodes there are, and how they are.
import { EXIT } from '../exit.js';
import { nodeTable } from '../render/index.js';
import type { Action, Register } from '../session.js';

const list: Action = async (session) => {
  const client = await session.client();
  const answer = await client.nodes({ signal: session.io.signal });
  session.data(answer);
  session.say(...nodeTable(answer.nodes, session.io.now(), session.colours));
  const self = answer.nodes.find(({ id }) => id === answer.self);
  if (self?.role === 'edge') session.note(`(as ${answer.self} knows them; the core knows how the others are)`);
  return EXIT.ok;
};

export const nodes: Register = (program, run) => {
  program
    .command('nodes')
    .description('list the nodes: connected or not, what runs and waits there, graphics processors, models, projects')
    .addHelpText(
      'after',
      '\nSTATE: here (the node that was asked), connected, away, lost (three beats missed), new (it never came).\nTO SEND: records of its log that the core does not have yet.\n\nExamples:\n  dats nodes\n  dats nodes --json | jq -r \'.nodes[] | select(.state == "lost") | .id\'',
    )
    .action(run(list));
};
