// `dats submit`: one task.
import { Option } from 'commander';
import type { TaskView } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import { openEventScreen } from '../followed.js';
import { taskLines } from '../render/index.js';
import type { Register, Session } from '../session.js';
import { bodyOf, type SubmitFlags } from '../submission.js';
import { saveArtifacts } from './artifacts.js';
import { reachHome } from './at-home.js';
import { collect, positiveNumber, wholeNumber } from './options.js';
import { outcomeTeller, showText } from './watch.js';

interface Flags extends SubmitFlags {
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly out?: string;
  readonly force?: boolean;
  readonly stream?: string;
}

/** Follows a task to its end, showing what happens if that was asked for. */
export const awaitTask = async (session: Session, client: DatsClient, id: string, showEvents: boolean): Promise<TaskView> => {
  const screen = openEventScreen(session);
  const view = await client.wait(id, {
    signal: session.io.signal,
    onEvent: (event) => {
      if (showEvents) screen.show(event);
    },
    onConnection: (state) => session.note(state === 'lost' ? 'dats: the connection is lost; reconnecting' : 'dats: connected again'),
  });
  screen.close();
  return view;
};

const submitOne = async (session: Session, description: string | undefined, flags: Flags): Promise<number> => {
  const body = bodyOf(description, flags, session);
  const client = await session.client();
  const { signal } = session.io;
  const accepted = await client.submit(body, { signal, idempotencyKey: flags.idempotencyKey });
  const waits = flags.wait === true || flags.out !== undefined || flags.stream !== undefined;
  if (!waits) {
    session.data(accepted);
    session.say(session.quiet ? accepted.task_id : `accepted ${accepted.task_id} (project ${accepted.project_id})`);
    session.note(`watch it with: dats watch ${accepted.task_id}`);
    return EXIT.ok;
  }
  session.note(`accepted ${accepted.task_id} (project ${accepted.project_id})`);
  if (accepted.home !== undefined && !(await reachHome(session, client, { ...accepted, home: accepted.home }))) return EXIT.failed;
  if (flags.stream === 'text') await showText(session, client, accepted.task_id);
  const view = await awaitTask(session, client, accepted.task_id, flags.stream === 'events');
  session.data(view);
  const tell = flags.stream === 'text' ? outcomeTeller(session) : session.say;
  tell(...(session.quiet ? [`${view.task_id} ${view.state}`] : taskLines(view, session.colours)));
  if (flags.out !== undefined && view.artifacts.length > 0) await saveArtifacts(session, client, view, flags.out, flags.force === true);
  return view.state === 'completed' ? EXIT.ok : EXIT.failed;
};

export const submit: Register = (program, run) => {
  program
    .command('submit [description]')
    .description('submit a task')
    .option('--file-description <file>', 'read the description from a file')
    .option('--project <id>', 'project it belongs to (default: default)')
    .option('--priority <level>', 'low, normal, high or urgent')
    .option('--file <path>', 'source file to hand along; repeat for more', collect)
    .option('--tests <path>', 'tests that the result must pass; language from the extension')
    .option('--entry-point <name>', 'function that HumanEval-like tests check')
    .option('--qa <profile>', 'none, syntax or tests')
    .option('--tier <tier>', 'tier of the first attempt: small, medium or large')
    .option('--model <id>', 'a model of servers.yaml, instead of choosing one')
    .option('--decompose', 'split it into subtasks first')
    .option('--depends-on <task>', 'task that must be completed first; repeat for more', collect)
    .option('--input <artifact>', 'artifact to use as input; repeat for more', collect)
    .option('--timeout <seconds>', 'limit of one attempt', positiveNumber)
    .option('--max-attempts <n>', 'how often it may be tried', wholeNumber(1, 20))
    .option('--idempotency-key <key>', 'sending the same twice under one key makes one task')
    .option('--wait', 'wait for its end; exit code 1 unless it is completed')
    .option('--out <folder>', 'wait, then write its artifacts there')
    .option('--force', 'with --out: replace files that are there')
    .addOption(
      new Option('--stream <what>', 'wait, and show what happens as it happens: each event, or what the model says').choices([
        'events',
        'text',
      ]),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  dats submit "Write a function slugify(text) in src/slug.py" --tests test_slug.py --wait --out ./result\n  dats submit --file-description task.md --file src/parser.ts --project website --priority high\n  dats submit "An expression evaluator in TypeScript" --decompose --stream events\n  dats submit "Explain src/parser.ts in docs/parser.md" --file src/parser.ts --stream text | tee said.txt\n  dats submit "..." --idempotency-key build-42 --json',
    )
    .action(run((session, [description], options) => submitOne(session, description, options as unknown as Flags)));
};
