// `dats taint`: something is bad. What was made from it is shown, then marked.
import { newId, type TaintAnswer, taintSchema } from '../../schemas/index.js';
import type { DatsClient, TaintRequest } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { CHANGING, LOOKING, withServer } from '../offline.js';
import { impactLines, plural } from '../render/index.js';
import type { Action, Register, Session } from '../session.js';
import { watchCascades } from './cascade-watch.js';
import { checkedBody } from './checked-body.js';
import { confirmed, mayAsk } from './confirm.js';
import { instantOf, isPath, wholeNumber } from './options.js';
import { artifactOf } from './standing.js';

interface Flags {
  readonly project?: string;
  readonly task?: string;
  readonly model?: string;
  readonly modelDigest?: string;
  readonly promptVersion?: string;
  readonly node?: string;
  readonly configVersion?: string;
  readonly from?: string;
  readonly until?: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly maxDepth?: number;
  readonly maxArtifacts?: number;
  readonly yes?: boolean;
}

const NAMES: Readonly<Record<string, string>> = {
  artifact_id: '<artifact>',
  project_id: '--project',
  task_id: '--task',
  model: '--model',
  model_digest: '--model-digest',
  prompt_version: '--prompt-version',
  node: '--node',
  config_version: '--config-version',
  from: '--from',
  until: '--until',
  reason: '--reason',
};

/** What is bad, but for the artifact. */
const bodyOf = (flags: Flags, artifact: string | undefined, now: number): TaintRequest => {
  const { maxDepth: max_depth, maxArtifacts: max_artifacts } = flags;
  const limits = {
    ...(max_depth === undefined ? {} : { max_depth }),
    ...(max_artifacts === undefined ? {} : { max_artifacts }),
  };
  const selector = {
    artifact_id: artifact,
    task_id: flags.task,
    model: flags.model,
    model_digest: flags.modelDigest,
    prompt_version: flags.promptVersion,
    node: flags.node,
    config_version: flags.configVersion,
    from: instantOf('--from', flags.from, now),
    until: instantOf('--until', flags.until, now),
  };
  if (Object.values(selector).every((value) => value === undefined))
    throw badUsage(
      'what is bad? Give an artifact or a path, or --task, --model, --model-digest, --prompt-version, --node, --config-version, --from or --until',
    );
  return checkedBody(
    taintSchema,
    {
      ...selector,
      project_id: flags.project,
      reason: flags.reason ?? '',
      limits: Object.keys(limits).length === 0 ? undefined : limits,
    },
    NAMES,
  );
};

const impactsOf = (session: Session, { cascades }: TaintAnswer): readonly string[] =>
  cascades.flatMap(({ impact }, i) => [...(i === 0 ? [] : ['']), ...impactLines(impact, 'down', session.colours)]);

const total = ({ cascades }: TaintAnswer, of: 'roots' | 'artifacts'): number => cascades.reduce((sum, { impact }) => sum + impact[of], 0);

const begin = async (
  session: Session,
  client: DatsClient,
  body: TaintRequest,
  flags: Flags,
  key: string,
  aside: boolean,
): Promise<number> => {
  const { signal } = session.io;
  const found = await client.taint({ ...body, dry_run: true }, { signal });
  const dryRun = flags.dryRun === true;
  if (dryRun) session.data(found);
  if (found.cascades.length === 0) {
    if (!dryRun) session.data(found);
    session.say('nothing fits: no artifact on record is meant by that');
    return EXIT.ok;
  }
  (dryRun ? session.say : session.note)(...impactsOf(session, found));
  if (dryRun) return EXIT.ok;
  const question = `Taint ${plural(total(found, 'roots'), 'artifact')} and check what was made from it, ${plural(total(found, 'artifacts'), 'artifact')} in all?`;
  if (!(await confirmed(session, flags.yes === true, question))) {
    session.say('nothing was done');
    return EXIT.failed;
  }
  const begun = await client.taint(body, { signal, idempotencyKey: key });
  const ids = begun.cascades.flatMap(({ cascade_id }) => (cascade_id === null ? [] : [cascade_id]));
  for (const { cascade_id, project_id } of begun.cascades) session.note(`cascade ${cascade_id} (project ${project_id})`);
  if (flags.wait || aside) return watchCascades(session, client, ids);
  session.data(begun);
  session.say(...ids);
  for (const id of ids) session.note(`watch it with: dats cascade watch ${id}`);
  return EXIT.ok;
};

const run: Action = async (session, [what], options) => {
  const flags = options as unknown as Flags;
  const now = session.io.now();
  // A path is looked up later; until then it stands for itself, so that everything else is checked before anything is sent.
  const draft = bodyOf(flags, what !== undefined && isPath(what) ? 'a path' : what, now);
  if (flags.dryRun !== true) mayAsk(session, flags.yes === true, 'taint');
  const key = newId();
  return withServer(session, flags.dryRun === true ? LOOKING : CHANGING, async (client, aside) => {
    const artifact = what === undefined ? {} : { artifact_id: await artifactOf(client, what, flags.project, session.io.signal) };
    return begin(session, client, { ...draft, ...artifact }, flags, key, aside);
  });
};

export const taint: Register = (program, runWith) => {
  program
    .command('taint [path-or-id]')
    .description('say that something is bad: show what was made from it, then mark it and check again what may still be right')
    .option('--project <id>', 'only in this project (default: wherever something fits)')
    .option('--task <id>', 'made by this task')
    .option('--model <id>', 'made by this model')
    .option('--model-digest <digest>', 'made by this build of a model')
    .option('--prompt-version <version>', 'made with this prompt')
    .option('--node <id>', 'made on this node')
    .option('--config-version <version>', 'made under this configuration')
    .option('--from <time>', 'made since then: 30m, 24h, 7d, "1h ago", or RFC 3339')
    .option('--until <time>', 'made before then, in the same forms')
    .requiredOption('--reason <text>', 'why; it is kept')
    .option('--dry-run', 'only show what it would reach')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not follow it to its end')
    .option('--max-depth <n>', 'steps at most', wholeNumber(0, 1_000))
    .option('--max-artifacts <n>', 'artifacts at most', wholeNumber(1, 1_000_000))
    .addHelpText(
      'after',
      '\nWhat is given must all hold. Exit code 1 where the cascade was cancelled, or cut by a limit.\n\nExamples:\n  dats taint src/lexer.ts --reason "wrong operator precedence" --dry-run\n  dats taint 0199a1b2-... --reason "leaks a secret" --yes --json | jq .type\n  dats taint --model qwen --from 2h --until "30m ago" --reason "bad weights"',
    )
    .action(runWith(run));
};
