// `dats views rebuild`: the analytics tables made anew from the log.
import { type DatsClient, sleep } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { withServer } from '../offline.js';
import type { Register, Session } from '../session.js';

/** Between two looks, milliseconds. */
const LOOK_MS = 500;
/** That so many looks in a row see nothing left: the first may be before anybody noticed that the tables are new. */
const SETTLED_LOOKS = 6;

/** How many records history is behind the log; undefined while that cannot be told. */
export const behindOf = (dependency: { readonly ok: boolean; readonly detail?: string } | undefined): number | undefined => {
  const [, digits] = /(\d+) records behind/.exec(dependency?.detail ?? '') ?? [];
  return dependency?.ok === true && digits !== undefined ? Number(digits) : undefined;
};

/** Says how far it is, until history has caught up. */
const untilCaughtUp = async (session: Session, client: DatsClient): Promise<void> => {
  const { signal } = session.io;
  const pause = session.deps.sleep ?? sleep;
  let seen = false;
  let told: string | undefined;
  for (let still = 0; still < SETTLED_LOOKS; ) {
    const { dependencies } = await client.health({ signal });
    const analytics = dependencies.find(({ name }) => name === 'analytics');
    const behind = behindOf(analytics);
    seen ||= behind !== undefined && behind > 0;
    still = behind !== 0 ? 0 : seen ? SETTLED_LOOKS : still + 1;
    const line = behind === undefined ? (analytics?.detail ?? 'history is not there yet') : `${behind.toLocaleString('en')} records behind`;
    if (line !== told) session.note(`analytics: ${line}`);
    told = line;
    if (still < SETTLED_LOOKS) await pause(LOOK_MS, signal);
  }
};

export const views: Register = (program, run) => {
  const command = program
    .command('views')
    .description('the analytics tables as a whole')
    .addHelpText('after', '\nExamples:\n  dats views rebuild --yes');
  command
    .command('rebuild')
    .description('drop the analytics tables and bring all of it again from the log; nothing is lost')
    .option('--yes', 'do it')
    .action(
      run(async (session, _args, options) => {
        if (options.yes !== true)
          throw badUsage(
            'this drops every table of history and fills them again from the log: until that is done, questions are answered from a part of it. Nothing is lost. Give --yes to do it',
          );
        await withServer(session, { needs: 'log', deciders: true }, async (client) => {
          const { detail } = await client.rebuildViews({ signal: session.io.signal });
          session.note(detail);
          await untilCaughtUp(session, client);
        });
        session.data({ rebuilt: ['analytics'] });
        session.say('history is rebuilt: all that the log holds is in it');
        return EXIT.ok;
      }),
    );
};
