// Follows cascades to their end, one line for each artifact that is marked.
import type { DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import { cascadeLines, clip, countsText, openCascadeLines, plural } from '../render/index.js';
import type { Session } from '../session.js';

const ERASE_LINE = '\r\u001b[K';

/** Shows the lines of one cascade; where somebody looks, how far it is at the foot. */
const showEvents = async (session: Session, client: DatsClient, id: string): Promise<void> => {
  const { io, colours } = session;
  const live = io.tty && !session.json && !session.quiet;
  const lineOf = openCascadeLines(colours);
  const following = {
    signal: io.signal,
    onConnection: (state: 'lost' | 'back') =>
      session.note(state === 'lost' ? 'dats: the connection is lost; reconnecting' : 'dats: connected again'),
  };
  try {
    for await (const { event } of client.cascadeEvents(id, following)) {
      session.data(event);
      if (session.json || session.quiet) continue;
      const line = lineOf(event);
      if (line !== undefined) io.out(`${live ? ERASE_LINE : ''}${line}\n`);
      if (live && event.type === 'dats.cascade.progressed')
        io.out(ERASE_LINE + clip(`${countsText(event.data)}, ${event.data.remaining} to go`, io.columns - 1));
    }
  } finally {
    if (live) io.out(ERASE_LINE);
  }
};

/** Follows each to its end. Exit code 1 where one was cancelled, or cut by a limit: then something bad is not marked. */
export const watchCascades = async (session: Session, client: DatsClient, ids: readonly string[]): Promise<number> => {
  let code: number = EXIT.ok;
  for (const id of ids) {
    await showEvents(session, client, id);
    const view = await client.waitForCascade(id, { signal: session.io.signal });
    const { marks: _, truncated: __, ...standing } = view;
    session.data(standing);
    session.say(...(session.quiet ? [`${id} ${view.state}`] : cascadeLines(view, session.colours)));
    if (view.tainted > 0)
      session.note(`${plural(view.tainted, 'artifact')} tainted; take back what it reached with: dats rollback --cascade ${id}`);
    if (view.state !== 'completed') code = EXIT.failed;
  }
  return code;
};

/** What a change of another kind began: followed where that was asked for, or where nobody else would go on with it. */
export const afterwards = async (session: Session, client: DatsClient, id: string | null, waits: boolean): Promise<number> => {
  if (id === null) {
    session.note('no cascade begins: cascade of servers.yaml asks for none');
    return EXIT.ok;
  }
  if (waits) return watchCascades(session, client, [id]);
  session.note(`watch it with: dats cascade watch ${id}`);
  return EXIT.ok;
};
