// `dats replay <project> --verify`: a project folded again from its first event, and compared with what is shown of it.
import { verifyOf } from '../client/verify.js';
import { EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import { verifyLines, verifyNotes } from '../render/verify.js';
import type { Session } from '../session.js';

export interface VerifyOptions {
  /** Default: that of the session. */
  readonly signal?: AbortSignal;
}

/** Prints what was compared and what differs. @returns the exit code: 0 when all is equal, 1 when something differs or could not be compared */
export const verifyHistory = async (session: Session, project: string, options: VerifyOptions = {}): Promise<number> => {
  const { signal = session.io.signal } = options;
  const report = await withServer(session, LOOKING, (client) => verifyOf(client.http).verify(project, { signal }));
  session.data(report);
  session.say(...verifyLines(report, session.colours));
  session.note(...verifyNotes(report));
  return report.ok ? EXIT.ok : EXIT.failed;
};
