// `dats migrate`: the analytics tables brought up to date.
import { EXIT } from '../exit.js';
import { withServer } from '../offline.js';
import type { Register } from '../session.js';

export const migrate: Register = (program, run) => {
  program
    .command('migrate')
    .description('bring the analytics tables up to date with deploy/clickhouse')
    .addHelpText('after', '\nExamples:\n  dats migrate')
    .action(
      run(async (session) => {
        const wanted = { needs: 'log', deciders: true } as const;
        const migrated = await withServer(session, wanted, (client) => client.migrateViews({ signal: session.io.signal }));
        session.data(migrated);
        session.say(
          ...(migrated.applied.length === 0
            ? ['nothing to apply: the tables are up to date']
            : migrated.applied.map((name) => `applied ${name}`)),
        );
        return EXIT.ok;
      }),
    );
};
