// `dats models check`: what a model of servers.yaml and its server really support, and what DATS does about each gap. Needs no node: it asks the server itself.
import type { Check, CheckOutcome, CheckResult, ConformanceReport } from '../../models/index.js';
import type { ModelConfig, Prices } from '../../schemas/index.js';
import { badUsage, EXIT } from '../exit.js';
import { type Colours, table } from '../render/index.js';
import type { Action, Register, Session } from '../session.js';
import { confirmed } from './confirm.js';

interface Asked {
  readonly config: ModelConfig;
  readonly prices: Prices;
  readonly baseDir: string;
}

const askedOf = async (session: Session, id: string): Promise<Asked> => {
  const { loadConfiguration } = await import('../../nodes/index.js');
  const { config, path, baseDir } = loadConfiguration({ env: session.io.env, cwd: session.io.cwd });
  const found = config.models.find((model) => model.id === id);
  const from = path ?? 'the built-in defaults';
  if (found === undefined)
    throw badUsage(`no model "${id.slice(0, 128)}" in ${from}; it has: ${config.models.map((model) => model.id).join(', ') || 'none'}`);
  return { config: found, prices: config.prices, baseDir };
};

const wantedOf = (all: readonly Check[], only: string | undefined): readonly Check[] => {
  if (only === undefined) return all;
  const names = only.split(',').map((name) => name.trim());
  const known = all.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw badUsage(`--only: no check "${unknown.slice(0, 60)}"; there are: ${known.join(', ')}`);
  return all.filter(({ name }) => names.includes(name));
};

const sum = (checks: readonly Check[], of: (check: Check) => number): number => checks.reduce((all, check) => all + of(check), 0);

/** What the checks may cost at most, in words: all tokens at the dearer price. */
const planOf = async ({ config, prices }: Asked, checks: readonly Check[]): Promise<string> => {
  const { priceOf, costOf } = await import('../../models/index.js');
  const [calls, tokens] = [sum(checks, (check) => check.calls), sum(checks, (check) => check.tokens)];
  const price = priceOf(config, config.provider ?? config.runner, prices);
  const cost = price && Math.max(costOf(price, tokens, 0), costOf(price, 0, tokens));
  return `at most ${calls} calls with ${tokens} tokens together${cost === undefined ? '' : `, some ${cost.toPrecision(2)} USD`}, which ${config.api_key_env} pays for`;
};

/** @returns false where whoever was asked said no. @throws Fault `bad_usage` */
const mayPay = async (session: Session, asked: Asked, checks: readonly Check[], yes: boolean): Promise<boolean> => {
  if (asked.config.api_key_env === undefined) return true;
  const plan = await planOf(asked, checks);
  if (yes) session.note(`checking ${asked.config.id}: ${plan}`);
  else if (session.json || session.io.ask === undefined)
    throw badUsage(`checking ${asked.config.id} makes ${plan}; give --yes to make them, or --only with fewer checks`);
  return confirmed(session, yes, `Checking ${asked.config.id} makes ${plan}. Make them?`);
};

const PAINT: Readonly<Record<CheckOutcome, (colours: Colours) => (text: string) => string>> = {
  ok: (c) => c.green,
  partly: (c) => c.yellow,
  missing: (c) => c.yellow,
  failed: (c) => c.red,
};

const linesOf = (id: string, { checks, not_made, ok }: ConformanceReport, colours: Colours): readonly string[] => {
  const gaps = checks.filter(({ dats }) => dats !== undefined);
  return [
    ...table(
      checks,
      [
        { heading: 'check', cell: (row: CheckResult) => row.name },
        { heading: 'outcome', cell: (row) => row.outcome, paint: (row, c) => PAINT[row.outcome](c) },
        { heading: 'evidence', cell: (row) => row.evidence, max: 120 },
      ],
      colours,
    ),
    ...(gaps.length === 0 ? [] : ['', 'What DATS does about it:']),
    ...gaps.map(({ name, outcome, needed, dats }) => `  ${name} (${outcome}${needed ? ', needed' : ''}): ${dats}`),
    ...(not_made.length === 0 ? [] : ['', `Not checked, as it does not answer: ${not_made.join(', ')}`]),
    '',
    ok ? `${id} does what DATS needs.` : `${id} does not do what DATS needs.`,
  ];
};

const check: Action = async (session, [id], options) => {
  const asked = await askedOf(session, id!);
  const { config, baseDir } = asked;
  const { checkConformance, CHECKS, missingKeyOf, openRunner, systemClock } = await import('../../models/index.js');
  const checks = wantedOf(CHECKS, options['only'] as string | undefined);
  const missing = missingKeyOf(config, session.io.env);
  if (missing !== undefined) throw badUsage(`model ${config.id}: the environment variable ${missing} is not set; set it and try again`);
  if (!(await mayPay(session, asked, checks, options['yes'] === true))) {
    session.note('nothing was asked');
    return EXIT.failed;
  }
  const runner = await openRunner(config, { baseDir, env: session.io.env, clock: systemClock });
  try {
    const { context_tokens, concurrency } = config;
    const model = { model: config.model ?? config.id, context_tokens, concurrency, paid: config.api_key_env !== undefined };
    const report = await checkConformance(
      runner,
      { model, checks, onBegin: ({ name, tries }) => session.note(`checking ${name}: ${tries}`) },
      session.io.signal,
    );
    session.data({ model: config.id, runner: config.runner, provider: runner.provider, ...report });
    session.say(...linesOf(config.id, report, session.colours));
    return report.ok ? EXIT.ok : EXIT.failed;
  } finally {
    await runner.close();
  }
};

export const modelsCheck: Register = (models, run) => {
  models
    .command('check <id>')
    .description('what the server of a model really supports, and what DATS does about each gap; asks the server itself, with short calls')
    .option('--only <checks>', 'these checks, separated by commas')
    .option('--yes', 'make calls that are paid for')
    .addHelpText(
      'after',
      '\nExamples:\n  dats models check ollama-small\n  dats models check ollama-small --only streaming,tools --json\n\nExits with 0 when what DATS needs works, with 1 when not.',
    )
    .action(run(check));
};
