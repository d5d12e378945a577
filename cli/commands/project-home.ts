// `dats project home` and `dats project move`: which node decides a project.
import type { ProjectHome } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import type { Action, Session } from '../session.js';

/** Between two looks at a project that moves, in milliseconds. */
const LOOK_MS = 500;

const homeText = ({ project_id, home, moving_to }: ProjectHome): string =>
  moving_to === null ? `${project_id} is decided by ${home}` : `${project_id} is decided by ${home}, and on its way to ${moving_to}`;

export const showHome: Action = async (session, [project]) => {
  const client = await session.client();
  const home = await client.projectHome(project!, { signal: session.io.signal });
  session.data(home);
  session.say(homeText(home));
  return EXIT.ok;
};

const untilThere = async (session: Session, client: DatsClient, project: string, to: string): Promise<ProjectHome> => {
  const { signal } = session.io;
  let told = false;
  for (;;) {
    const home = await client.projectHome(project, { signal });
    if (home.home === to && home.moving_to === null) return home;
    if (!told)
      session.note(`${project}: ${home.home} lets what runs of it end, then hands it over to ${to}; a node that is cut off is waited for`);
    told = true;
    await client.pause(LOOK_MS, signal);
  }
};

export const move: Action = async (session, [project], options) => {
  const {
    to,
    reason,
    by,
    wait = false,
  } = options as {
    readonly to: string;
    readonly reason?: string;
    readonly by?: string;
    readonly wait?: boolean;
  };
  const client = await session.client();
  const asked = await client.moveProject(project!, to, { reason, by, signal: session.io.signal });
  const isThere = asked.home === to && asked.moving_to === null;
  const home = wait && !isThere ? await untilThere(session, client, project!, to) : asked;
  session.data(home);
  session.say(homeText(home));
  if (home.moving_to !== null) session.note(`see it with: dats project home ${project}`);
  return EXIT.ok;
};
