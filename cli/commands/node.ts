// `dats node`: starting one of the nodes of servers.yaml, and taking one out of work.
import type { NodeView } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import type { Action, Register, Session } from '../session.js';
import { checkNode } from './node-check.js';
import { startOptions, startServing } from './start.js';

/** Between two looks at a node that is being drained, in milliseconds. */
const LOOK_MS = 500;

type What = 'cordon' | 'uncordon' | 'drain';
const DONE: Readonly<Record<What, string>> = {
  cordon: 'takes no new work; what runs there goes on',
  uncordon: 'takes new work again',
  drain: 'takes no new work, and can be stopped when nothing runs there and the core has everything',
};

const progressOf = ({ state, running_work, vitals, backlog }: NodeView): string => {
  if (state === 'lost' || state === 'away') return 'it is cut off; it gets this when its line is back';
  const waiting = Object.values(vitals?.lag ?? {}).reduce((sum, lag) => sum + lag, 0);
  return `${running_work ?? 0} running, ${waiting} waiting to be done${backlog === null ? '' : `, ${backlog} to send`}`;
};

const nodeIn = async (client: DatsClient, id: string, signal: AbortSignal): Promise<NodeView | undefined> =>
  (await client.nodes({ signal })).nodes.find((one) => one.id === id);

/** Until it can be stopped, telling what is still to be done whenever that changes. */
const untilDrained = async (session: Session, client: DatsClient, id: string): Promise<void> => {
  const { signal } = session.io;
  let told = '';
  for (;;) {
    const node = await nodeIn(client, id, signal);
    if (node?.admission === 'drained') return;
    const progress = node === undefined ? '' : progressOf(node);
    if (progress !== told) session.note(`${id}: ${progress}`);
    told = progress;
    await client.pause(LOOK_MS, signal);
  }
};

const command =
  (what: What): Action =>
  async (session, [id], options) => {
    const { reason, by, wait = false } = options as { readonly reason?: string; readonly by?: string; readonly wait?: boolean };
    const client = await session.client();
    const { signal } = session.io;
    const answer = await client.commandNode(id!, what, { reason, by, signal });
    if (!wait) {
      session.data(answer);
      session.say(answer.here ? `${id} ${DONE[what]}` : `asked: ${id} ${DONE[what]}`);
      if (!answer.here) session.note('it gets this over its line, at once or when it is back; see dats nodes');
      return EXIT.ok;
    }
    await untilDrained(session, client, id!);
    session.data({ ...answer, admission: 'drained' });
    session.say(`${id} is drained: its processes can be stopped; after the next start: dats node uncordon ${id}`);
    return EXIT.ok;
  };

export const node: Register = (program, run) => {
  const nodes = program
    .command('node')
    .description('start a node of servers.yaml, or take one out of work')
    .addHelpText(
      'after',
      '\nExamples:\n  dats node start edge-1                     one of the nodes of servers.yaml, here\n  dats node start --config node.yaml\n  dats node check --config node.yaml          can it join?\n  dats node drain edge-1 --wait && systemctl stop dats-edge\n  dats node uncordon edge-1',
    );
  startOptions(
    nodes.command('start [id]').description('start a node here, as `dats start`; with an id: as that node of servers.yaml'),
  ).action(run((session, [id], options) => startServing(session, options, id === undefined ? {} : { DATS_NODE_ID: id })));
  nodes
    .command('check [id]')
    .description('can this machine join its core? configuration, token, line; nothing is changed')
    .option('--config <file>', 'servers.yaml to use (default: DATS_CONFIG, ./servers.yaml, built-in defaults)')
    .action(run(checkNode));
  const commands: readonly (readonly [What, string])[] = [
    ['cordon', 'have it take no new work; what runs goes on, and it holds after a restart'],
    ['uncordon', 'have it take new work again'],
    ['drain', 'cordon it, let what runs end, and have the core get all it has: then it can be stopped'],
  ];
  for (const [what, description] of commands) {
    const one = nodes
      .command(`${what} <id>`)
      .description(description)
      .option('--reason <text>', 'why; it stands in history')
      .option('--by <name>', 'who asks');
    if (what === 'drain') one.option('--wait', 'wait until it can be stopped, and show what is still to be done');
    one.action(run(command(what)));
  }
};
