// A task that was taken here and is decided by another node: followed from the core, which gets everything; from an edge node, which does not, only said.
import type { NodeView } from '../../schemas/index.js';
import type { Accepted, DatsClient } from '../client/index.js';
import type { Session } from '../session.js';

/** Between two looks whether the core has what was taken at an edge node, in milliseconds, and how long it is looked. */
const LOOK_MS = 100;
const LOOK_FOR_MS = 3_000;

type Away = Accepted & { readonly home: string };

const isDown = (node: NodeView | undefined): boolean => node?.state !== 'connected';

/** Has the core taken everything that was said here? */
const isAtCore = async (client: DatsClient, core: string, signal: AbortSignal): Promise<boolean> => {
  for (let waited = 0; ; waited += LOOK_MS) {
    const { self, nodes } = await client.nodes({ signal });
    const [here, there] = [self, core].map((id) => nodes.find((node) => node.id === id));
    if (!isDown(there) && here?.backlog === 0) return true;
    if (waited >= LOOK_FOR_MS || isDown(there)) return false;
    await client.pause(LOOK_MS, signal);
  }
};

/** @returns whether it can be followed here, from now on */
export const reachHome = async (session: Session, client: DatsClient, { task_id, project_id, home }: Away): Promise<boolean> => {
  const { signal } = session.io;
  const { self, nodes } = await client.nodes({ signal });
  const core = nodes.find(({ role }) => role === 'core');
  if (core === undefined || core.id === self) {
    const away = isDown(nodes.find(({ id }) => id === home))
      ? ', which is not connected now: the task is on disk here, and goes there when it is'
      : '';
    session.note(`node ${home} decides project ${project_id}${away}; waiting until it says something of the task`);
    await client.untilAtHome(task_id, { signal });
    return true;
  }
  const follow = `follow it there: dats watch ${task_id} --url ${core.url ?? 'ADDRESS'}`;
  const decides =
    home === core.id
      ? `the core (${core.url ?? home}) decides project ${project_id}`
      : `node ${home} decides project ${project_id}, by way of the core (${core.url})`;
  const has = await isAtCore(client, core.id, signal);
  session.data({ task_id, project_id, home, at_core: has });
  session.say(
    has
      ? `${decides}, and has the task; ${follow}`
      : `${decides}, and is cut off or has not taken it yet: the task is on disk here and goes there when the line is up; then ${follow}`,
  );
  return false;
};
