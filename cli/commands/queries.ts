// The short commands: one call, one answer.
import type { TaskView } from '../../schemas/index.js';
import { EXIT } from '../exit.js';
import { withServer } from '../offline.js';
import { duration, oneLine, projectLines, table, taskLines, taskTable } from '../render/index.js';
import type { Register } from '../session.js';
import { modelsCheck } from './models-check.js';
import { wholeNumber } from './options.js';

/** What looks at tasks needs no more than the log and its views. */
const LOG = { needs: 'log' } as const;

export const get: Register = (program, run) => {
  program
    .command('get <task>')
    .description('show how a task stands')
    .addHelpText('after', '\nExamples:\n  dats get 0199a1b2-...\n  dats get 0199a1b2-... --json')
    .action(
      run(async (session, [id]) => {
        const view = await withServer(session, LOG, (client) => client.get(id!, { signal: session.io.signal }));
        session.data(view);
        session.say(...taskLines(view, session.colours));
        return EXIT.ok;
      }),
    );
};

export const list: Register = (program, run) => {
  program
    .command('list')
    .description('list tasks, newest first')
    .option('--project <id>', 'of this project')
    .option('--status <status>', 'pending, running, completed, failed or cancelled')
    .option('--state <state>', 'the exact state')
    .option('--since <time>', 'created since then, RFC 3339')
    .option('--parent <task>', 'subtasks of this task')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 100_000), 50)
    .addHelpText(
      'after',
      '\nExamples:\n  dats list --project website --status running\n  dats list --state failed --limit 1000 --json | jq .task_id',
    )
    .action(
      run(async (session, _args, options) => {
        const { project, status, state, since, parent } = options as Record<string, string | undefined>;
        const limit = Number(options.limit);
        const PAGE = 100;
        const tasks: TaskView[] = [];
        const filter = { project_id: project, status, state, since, parent_id: parent, limit: Math.min(limit, PAGE) };
        await withServer(session, LOG, async (client) => {
          for await (const task of client.listAll(filter, { signal: session.io.signal })) {
            tasks.push(task);
            session.data(task);
            if (tasks.length >= limit) break;
          }
        });
        session.say(...(tasks.length === 0 ? ['no task fits'] : taskTable(tasks, session.colours)));
        if (tasks.length >= limit) session.note(`(the first ${limit}; more with --limit)`);
        return EXIT.ok;
      }),
    );
};

export const cancel: Register = (program, run) => {
  program
    .command('cancel <task>')
    .description('cancel a task; what is running for it is aborted')
    .option('--reason <text>', 'why; it is kept with the task')
    .addHelpText('after', '\nExamples:\n  dats cancel 0199a1b2-... --reason "no longer needed"')
    .action(
      run(async (session, [id], options) => {
        const answer = await (await session.client()).cancel(id!, options.reason === undefined ? {} : { reason: String(options.reason) }, {
          signal: session.io.signal,
        });
        session.data(answer);
        session.say(`${id}: ${oneLine(answer.detail)}`);
        return EXIT.ok;
      }),
    );
};

export const status: Register = (program, run) => {
  program
    .command('status [project]')
    .description('show how a project stands')
    .addHelpText('after', '\nExamples:\n  dats status            the project "default"\n  dats status website --json')
    .action(
      run(async (session, [project]) => {
        const { signal } = session.io;
        const view = await withServer(session, LOG, (client) => client.projectStatus(project ?? 'default', { signal }));
        session.data(view);
        session.say(...projectLines(view));
        return EXIT.ok;
      }),
    );
};

export const models: Register = (program, run) => {
  const command = program.command('models');
  modelsCheck(command, run);
  command
    .description('list the models and how they are')
    .addHelpText('after', '\nExamples:\n  dats models\n  dats models check ollama-small')
    .action(
      run(async (session) => {
        const rows = await (await session.client()).models({ signal: session.io.signal });
        session.data(rows);
        session.say(
          ...table(
            rows,
            [
              { heading: 'model', cell: (row) => row.id },
              { heading: 'runner', cell: (row) => row.runner },
              { heading: 'tiers', cell: (row) => row.tiers.join(', ') },
              {
                heading: 'health',
                cell: (row) => (row.health.ok ? 'ok' : 'not there'),
                paint: (row, c) => (row.health.ok ? c.green : c.yellow),
              },
              { heading: 'took', cell: (row) => duration(row.health.latency_ms) },
              { heading: 'running', cell: (row) => row.running },
              {
                heading: 'note',
                cell: (row) =>
                  [row.fallback ? 'only where no other is healthy' : '', row.health.detail ?? ''].filter(Boolean).join('; ') || '-',
                max: 100,
              },
            ],
            session.colours,
          ),
        );
        return EXIT.ok;
      }),
    );
};

export const health: Register = (program, run) => {
  program
    .command('health')
    .description('show how the server and what it depends on are; exit code 1 when it cannot take tasks')
    .addHelpText('after', '\nExamples:\n  dats health && dats submit "..."')
    .action(
      run(async (session) => {
        const client = await session.client();
        const report = await client.health({ signal: session.io.signal });
        session.data(report);
        session.say(`${client.baseUrl}: ${report.status}, version ${report.version}`);
        for (const { name, ok, required, detail } of report.dependencies) {
          const word = ok ? session.colours.green('ok  ') : !required ? session.colours.yellow('away') : session.colours.red('down');
          session.say(`  ${word}  ${name}${detail === undefined ? '' : `  ${oneLine(detail)}`}`);
        }
        return report.status === 'down' ? EXIT.failed : EXIT.ok;
      }),
    );
};
