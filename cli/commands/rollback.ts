// `dats rollback`: files go back to versions that were good. The difference is shown first; nothing is deleted, and a rollback can be rolled back.
import { Fault, LANES, newId, type RollbackPlan, rollbackSchema, TASK_POLICIES } from '../../schemas/index.js';
import type { DatsClient, RollbackRequest } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { CHANGING, LOOKING, withServer } from '../offline.js';
import { changesNothing, planLines, plural, rollbackLines, rollbackTable } from '../render/index.js';
import type { Action, Register, Session } from '../session.js';
import { checkedBody } from './checked-body.js';
import { confirmed, mayAsk } from './confirm.js';
import { cascadeIdOf, rollbackIdOf } from './newest.js';
import { oneOf, placeOf, wholeNumber } from './options.js';
import { awaitRedone } from './redone.js';
import { diffsOf } from './rollback-diffs.js';

interface Flags {
  readonly cascade?: string;
  readonly task?: string;
  readonly rollback?: string;
  readonly to?: string;
  readonly project?: string;
  readonly tasks: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly wait: boolean;
}

const NAMES: Readonly<Record<string, string>> = {
  cascade_id: '--cascade',
  task_id: '--task',
  rollback_id: '--rollback',
  to: '--to',
  project_id: '--project',
  tasks: '--tasks',
  reason: '--reason',
};

const bodyOf = (flags: Flags, now: number): RollbackRequest => {
  const given = [flags.cascade, flags.task, flags.rollback, flags.to].filter((target) => target !== undefined);
  if (given.length !== 1)
    throw badUsage(
      `${given.length === 0 ? 'what is to be taken back?' : 'only one thing can be taken back at a time:'} Give one of --cascade, --task, --to (with --project) and --rollback`,
    );
  if (flags.to !== undefined && flags.project === undefined) throw badUsage('--to needs --project: whose files are to stand as they did?');
  return checkedBody(
    rollbackSchema,
    {
      cascade_id: flags.cascade,
      task_id: flags.task,
      rollback_id: flags.rollback,
      to: placeOf('--to', flags.to, now),
      project_id: flags.project,
      tasks: oneOf('--tasks', flags.tasks, TASK_POLICIES) ?? 'close',
      reason: flags.reason,
    },
    NAMES,
  );
};

const questionOf = ({ changes, tasks, project_id }: RollbackPlan): string => {
  const concerned = tasks.filter(({ action }) => action !== 'keep').length;
  return `Change ${plural(changes.length, 'file')} of project ${project_id}${concerned > 0 ? `, and ${plural(concerned, 'task')}` : ''}?`;
};

/** Waits for its end and says what was done. */
const finish = async (session: Session, client: DatsClient, id: string, aside: boolean): Promise<number> => {
  const { signal } = session.io;
  const view = await client.waitForRollback(id, { signal });
  session.data(view);
  session.say(...(session.quiet ? [`${id} ${view.state}`] : rollbackLines(view, session.colours)));
  if (view.state === 'completed') session.note(`undo it with: dats rollback --rollback ${id}`);
  if (view.tasks_requeued > 0 && aside) await awaitRedone(session, client, view);
  else if (view.tasks_requeued > 0) session.note(`what runs anew: dats list --project ${view.project_id} --since ${view.requested_at}`);
  return view.state === 'refused' ? EXIT.failed : EXIT.ok;
};

/** `last` as the id that it means. */
const withIds = async (client: DatsClient, body: RollbackRequest, signal: AbortSignal): Promise<RollbackRequest> => ({
  ...body,
  ...(body.cascade_id === undefined ? {} : { cascade_id: await cascadeIdOf(client, body.cascade_id, signal) }),
  ...(body.rollback_id === undefined ? {} : { rollback_id: await rollbackIdOf(client, body.rollback_id, signal) }),
});

const begin = async (
  session: Session,
  client: DatsClient,
  flags: Flags,
  asked: RollbackRequest,
  key: string,
  aside: boolean,
): Promise<number> => {
  const { signal } = session.io;
  const body = await withIds(client, asked, signal);
  const dryRun = flags.dryRun === true;
  const shown = await client.rollback({ ...body, dry_run: true }, { signal });
  const { plan } = shown;
  if (dryRun || changesNothing(plan)) session.data(shown);
  const tell = dryRun ? session.say : session.note;
  if (!session.json && (dryRun || !session.quiet))
    tell(...planLines(plan, await diffsOf(client, plan.changes, session.colours, signal), session.colours));
  if (changesNothing(plan)) {
    session.say('nothing to do: everything stands as it would');
    return EXIT.ok;
  }
  if (dryRun) return EXIT.ok;
  if (!(await confirmed(session, flags.yes === true, questionOf(plan)))) {
    session.say('nothing was done');
    return EXIT.failed;
  }
  const begun = await client.rollback(body, { signal, idempotencyKey: key });
  const id = begun.rollback_id;
  if (id === null)
    throw new Fault('terminal', 'bad_answer', 'the server answered without the id of a rollback; is it a DATS server of this version?');
  if (flags.wait || aside) return finish(session, client, id, aside);
  session.data(begun);
  session.say(session.quiet ? id : `rollback ${id} begins`);
  session.note(`look at it with: dats rollback show ${id}`);
  return EXIT.ok;
};

const takeBack: Action = async (session, _args, options) => {
  const flags = options as unknown as Flags;
  const body = bodyOf(flags, session.io.now());
  if (flags.dryRun !== true) mayAsk(session, flags.yes === true, 'rollback');
  const key = newId();
  // What is submitted anew has to be made by somebody.
  const needs = flags.dryRun === true ? LOOKING : body.tasks === 'requeue' ? { ...CHANGING, workers: LANES } : CHANGING;
  return withServer(session, needs, (client, aside) => begin(session, client, flags, body, key, aside));
};

const showAll: Action = async (session, _args, options) => {
  const limit = Number(options.limit);
  const query = { project_id: options.project as string | undefined, limit };
  const rollbacks = await withServer(session, LOOKING, (client) => client.rollbacks(query, { signal: session.io.signal }));
  for (const one of rollbacks) session.data(one);
  session.say(...(rollbacks.length === 0 ? ['no rollback fits'] : rollbackTable(rollbacks, session.colours)));
  if (rollbacks.length >= limit) session.note(`(the newest ${limit}; more with --limit)`);
  return EXIT.ok;
};

const showOne: Action = async (session, [id]) => {
  const { signal } = session.io;
  const view = await withServer(session, LOOKING, async (client) =>
    client.rollbackView(await rollbackIdOf(client, id!, signal), { signal }),
  );
  session.data(view);
  session.say(...rollbackLines(view, session.colours));
  return EXIT.ok;
};

export const rollback: Register = (program, run) => {
  const command = program
    .command('rollback')
    .description('take back: show what would change, then let the files of a project stand again as they did when they were good')
    .option('--cascade <id>', 'what this cascade tainted; last: the newest one')
    .option('--task <id>', 'what this task made, and what was made from that')
    .option('--to <place>', 'everything since then: 30m, 24h, "1h ago", RFC 3339, a position such as p0-17, or the id of an event')
    .option('--rollback <id>', 'an earlier rollback: undo it; last: the newest one')
    .option('--project <id>', 'with --to: the project')
    .option('--tasks <policy>', 'the tasks behind it: close (open ones are cancelled), requeue (all are submitted anew) or keep', 'close')
    .option('--reason <text>', 'why; it is kept')
    .option('--dry-run', 'only show what would change')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not wait for its end')
    .addHelpText(
      'after',
      '\nNothing is deleted: a rollback is undone with --rollback.\n\nExamples:\n  dats rollback --cascade last --dry-run\n  dats rollback --task 0199a1b2-... --tasks requeue\n  dats rollback --to 30m --project website\n  dats rollback --rollback 0199a1b2-... --yes --json\n  dats rollback list --project website',
    )
    .action(run(takeBack));
  command
    .command('list')
    .description('list them, newest first')
    .option('--project <id>', 'of this project')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000), 50)
    .action(run(showAll));
  command.command('show <id>').description('show how one stands, and what it did').action(run(showOne));
};
