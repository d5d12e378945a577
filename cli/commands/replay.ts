// `dats replay`: a project's history decided again with something changed; three lanes side by side, and a verdict.
import {
  DOMAINS,
  Fault,
  newId,
  QA_PROFILES,
  type ReplayAccepted,
  type ReplayChanges,
  type ReplayRule,
  type ReplayView,
  replayRuleSchema,
  TIERS,
} from '../../schemas/index.js';
import { type DatsClient, sleep } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { type Needs, withServer } from '../offline.js';
import { replayLines } from '../render/replay.js';
import type { Action, Register, Session } from '../session.js';
import { collect, instantOf, positiveNumber, wholeNumber } from './options.js';
import { verifyHistory } from './verify-history.js';

const BASE = '/api/v1';
/** Between two looks at a replay, milliseconds. */
const LOOK_MS = 300;

const CONDITIONS: readonly { readonly pattern: RegExp; readonly when: (value: string) => ReplayRule['when'] }[] = [
  { pattern: /^domain=(\w+)$/, when: (value) => ({ domain: value as (typeof DOMAINS)[number] }) },
  { pattern: /^tier=(\w+)$/, when: (value) => ({ tier: value as (typeof TIERS)[number] }) },
  { pattern: /^language=([\w+#-]+)$/, when: (value) => ({ language: value }) },
  { pattern: /^complexity<([\d.]+)$/, when: (value) => ({ complexity_below: Number(value) }) },
  { pattern: /^complexity>=([\d.]+)$/, when: (value) => ({ complexity_from: Number(value) }) },
];

const conditionOf = (rule: string, text: string): ReplayRule['when'] => {
  for (const { pattern, when } of CONDITIONS) {
    const found = pattern.exec(text);
    if (found) return when(found[1]!);
  }
  throw badUsage(
    `--tier-rule "${rule}": "${text}" is no condition; give domain=docs, tier=large, language=python, complexity<0.4 or complexity>=0.4`,
  );
};

/** `domain=docs,tier=large -> small`, or `... -> model=<id>`; `* -> small` fits every task. @throws Fault `bad_usage` */
export const ruleOf = (text: string): ReplayRule => {
  const [left, right, more] = text.split('->').map((part) => part.trim());
  if (!left || !right || more !== undefined)
    throw badUsage(`--tier-rule "${text}" is no rule; write it like "domain=docs,tier=large -> small"`);
  const conditions = left === '*' ? [] : left.split(',').map((part) => conditionOf(text, part.replaceAll(/\s/g, '')));
  const model = /^model=(\S+)$/.exec(right)?.[1];
  const parsed = replayRuleSchema.safeParse({
    when: Object.assign({}, ...conditions),
    ...(model === undefined ? { tier: right } : { model }),
  });
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw badUsage(`--tier-rule "${text}": ${places}. Tiers are ${TIERS.join(', ')}; domains ${DOMAINS.join(', ')}`);
};

const profileOf = (text: string): (typeof QA_PROFILES)[number] => {
  const found = QA_PROFILES.find((profile) => profile === text);
  if (found === undefined) throw badUsage(`--qa-profile "${text}" is not one of ${QA_PROFILES.join(', ')}`);
  return found;
};

type Options = Readonly<Record<string, unknown>>;

const changesOf = (session: Session, options: Options): ReplayChanges => {
  const { tierRule, model, promptFile, qaProfile, maxRunning, maxAttempts, timeout } = options;
  return {
    ...(tierRule === undefined ? {} : { routing: (tierRule as readonly string[]).map(ruleOf) }),
    ...(model === undefined ? {} : { model: String(model) }),
    ...(promptFile === undefined ? {} : { prompt: session.read(String(promptFile)) }),
    ...(qaProfile === undefined ? {} : { qa_profile: profileOf(String(qaProfile)) }),
    ...(maxRunning === undefined ? {} : { max_running: Number(maxRunning) }),
    ...(maxAttempts === undefined ? {} : { max_attempts: Number(maxAttempts) }),
    ...(timeout === undefined ? {} : { timeout_s: Number(timeout) }),
  };
};

/** An offset stays one; everything else is a time. */
const whereOf = (option: string, text: unknown, now: number): number | string | undefined =>
  typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : instantOf(option, text as string | undefined, now);

const bodyOf = (session: Session, project: string, options: Options) => {
  const now = session.io.now();
  const from = whereOf('--from', options.from, now);
  const until = whereOf('--until', options.until, now);
  const task_ids = options.task as readonly string[] | undefined;
  if (options.maxCalls !== undefined && options.generate !== true)
    throw badUsage('--max-calls goes with --generate: without it no model is called');
  if (options.generate === true && options.maxCalls === undefined)
    throw badUsage('--generate calls models: say how often at most with --max-calls, such as --max-calls 50');
  if (options.promptFile !== undefined && options.generate !== true)
    throw badUsage(
      '--prompt-file goes with --generate: what models would answer to another prompt cannot be estimated without asking them',
    );
  return {
    project_id: project,
    grade: options.generate === true ? 'generation' : 'policy',
    slice: {
      ...(from === undefined ? {} : { from }),
      ...(until === undefined ? {} : { until }),
      ...(task_ids === undefined ? {} : { task_ids }),
    },
    changes: changesOf(session, options),
    ...(options.maxCalls === undefined ? {} : { max_calls: Number(options.maxCalls) }),
    ...(options.reason === undefined ? {} : { reason: String(options.reason) }),
  };
};

/** Looks until it has ended. */
const awaited = async (session: Session, client: DatsClient, { replay_id, project_id }: ReplayAccepted): Promise<ReplayView> => {
  const { signal } = session.io;
  const pause = session.deps.sleep ?? sleep;
  let told = '';
  for (;;) {
    const path = `${BASE}/replay/${encodeURIComponent(replay_id)}`;
    const view = await client.http.json<ReplayView>({ path, query: { project_id }, signal });
    if (view.state === 'completed' || view.state === 'failed') return view;
    const { progress } = view;
    const line = progress === null ? 'waiting for a worker' : `${progress.lane}: ${progress.done} of ${progress.total}`;
    if (line !== told) session.note(line);
    told = line;
    await pause(LOOK_MS, signal);
  }
};

/** Where no server answers, a node of this process does the work: no task runs, so it takes the lane of replays alone. */
const NEEDS = { needs: 'log', workers: ['replay'], ledger: true } as const satisfies Needs;

const replayed: Action = async (session, [project], options) => {
  if (options.verify === true) return verifyHistory(session, project!);
  const body = bodyOf(session, project!, options);
  const { signal } = session.io;
  const headers = { 'idempotency-key': newId() };
  const view = await withServer(session, NEEDS, async (client) => {
    const accepted = await client.http.json<ReplayAccepted>({ method: 'POST', path: `${BASE}/replay`, json: body, headers, signal });
    session.note(`replay ${accepted.replay_id}`);
    return awaited(session, client, accepted);
  });
  session.data(view);
  if (view.report === null)
    throw new Fault('terminal', view.error?.code ?? 'replay_failed', `the replay failed: ${view.error?.message ?? 'no report'}`);
  session.say(...replayLines(view.report, session.colours, Number(options.differences)));
  return options.gate === true && view.verdict !== 'pass' ? EXIT.failed : EXIT.ok;
};

export const replay: Register = (program, run) => {
  program
    .command('replay <project>')
    .description("decide a project's history again with something changed; nothing of it touches the project")
    .option(
      '--verify',
      'nothing is changed: fold it again from its first event, and compare with the live views and ClickHouse, to the byte',
    )
    .option(
      '--tier-rule <rule>',
      'tasks that fit begin elsewhere: "domain=docs,tier=large -> small"; repeatable, the first that fits counts',
      collect,
    )
    .option('--model <id>', 'every answer by this model')
    .option('--prompt-file <path>', 'text in place of the system message; with --generate')
    .option('--qa-profile <profile>', QA_PROFILES.join(', '))
    .option('--max-running <n>', 'tasks of the project at a time', wholeNumber(1, 100_000))
    .option('--max-attempts <n>', 'attempts of a task', wholeNumber(1, 20))
    .option('--timeout <seconds>', 'for one attempt', positiveNumber)
    .option('--from <place>', 'tasks created since: 24h, 7d, RFC 3339, or an offset')
    .option('--until <place>', 'tasks created before, in the same forms')
    .option('--task <id>', 'only this task, with its subtasks and what it depends on; repeatable', collect)
    .option('--generate', 'ask models for what is not on record; without it outcomes are estimated')
    .option('--max-calls <n>', 'calls of models at most, over all runs of the replay', wholeNumber(0, 100_000))
    .option('--reason <text>', 'why; it is kept with the replay')
    .option('--differences <n>', 'tasks shown that came out otherwise', wholeNumber(0, 1_000), 20)
    .option('--gate', 'end with 1 unless the verdict is pass: for CI')
    .addHelpText(
      'after',
      '\nThe verdict is pass, hold (worse somewhere) or not comparable. The exit code is 0 for each of them; with --gate it is 1 unless it is pass.' +
        '\n\nExamples:\n  dats replay website --verify\n  dats replay website --tier-rule "domain=docs,tier=large -> small"\n  dats replay website --from 7d --max-running 20 --gate' +
        '\n  dats replay website --task 0199a1b2-... --model qwen-coder --generate --max-calls 10',
    )
    .action(run(replayed));
};
