// `dats quota`: what projects, users and agents may use of models, and have used.
import { QUOTA_SUBJECTS, type QuotaAccount, type QuotaLimit, resetQuotaSchema } from '../../schemas/index.js';
import { badUsage, EXIT } from '../exit.js';
import { harmless, table } from '../render/index.js';
import type { Action, Register, Session } from '../session.js';
import { checkedBody } from './checked-body.js';
import { oneOf, wholeNumber } from './options.js';

const kindOf = (text: string | undefined) => oneOf('<kind>', text, QUOTA_SUBJECTS);

const round = (n: number): number => Math.round(n * 1e6) / 1e6;

/** Used and allowed of every limit, such as `tokens_per_day 41310 of 200000`. */
const limitsOf = ({ limits, used, running, requests_last_minute }: QuotaAccount): readonly string[] => {
  const now: Readonly<Record<QuotaLimit, number>> = {
    tokens_per_day: used.day.tokens,
    tokens_per_month: used.month.tokens,
    tokens_total: used.total.tokens,
    cost_usd_per_day: used.day.cost_usd,
    cost_usd_per_month: used.month.cost_usd,
    cost_usd_total: used.total.cost_usd,
    requests_per_minute: requests_last_minute,
    concurrency: running,
  };
  return (Object.keys(now) as QuotaLimit[]).flatMap((limit) =>
    limits[limit] === undefined ? [] : [`${limit} ${round(now[limit])} of ${limits[limit]}`],
  );
};

const showAll = async (session: Session, kind: string | undefined, limit: number): Promise<number> => {
  const page = await (await session.client()).quotas({ kind: kindOf(kind), limit }, { signal: session.io.signal });
  for (const account of page.quotas) session.data(account);
  session.say(
    ...(page.quotas.length === 0
      ? ['no quotas; `quotas` of servers.yaml names those of projects, users and agents']
      : table(page.quotas, [
          { heading: 'kind', cell: ({ kind }) => kind },
          { heading: 'id', cell: ({ id }) => id },
          { heading: 'tokens today', cell: ({ used }) => used.day.tokens },
          { heading: 'tokens', cell: ({ used }) => used.total.tokens },
          { heading: 'cost_usd', cell: ({ used }) => round(used.total.cost_usd) },
          { heading: 'set aside', cell: ({ reserved }) => reserved.tokens },
          { heading: 'running', cell: ({ running }) => running },
          { heading: 'limits', cell: (account) => limitsOf(account).join(', ') || 'none', max: 200 },
        ])),
  );
  if (page.next_cursor !== null) session.note(`(the first ${page.quotas.length}; more with --limit)`);
  return EXIT.ok;
};

const sayOne = (session: Session, account: QuotaAccount): void => {
  const { kind, id, used, reserved, running, requests_last_minute, day_ends, month_ends } = account;
  const amount = ({ tokens, cost_usd }: QuotaAccount['reserved']): string => `${tokens} tokens, ${round(cost_usd)} USD`;
  session.say(
    `${kind} ${harmless(id)}`,
    `today      ${amount(used.day)} (until ${day_ends})`,
    `this month ${amount(used.month)} (until ${month_ends})`,
    `in all     ${amount(used.total)}`,
    `set aside  ${amount(reserved)}, for ${running} running`,
    `requests   ${requests_last_minute} in the last minute`,
    `limits     ${limitsOf(account).join(', ') || 'none'}`,
  );
};

const show: Action = async (session, [kind, id], options) => {
  if (id === undefined) return showAll(session, kind, Number(options.limit));
  const account = await (await session.client()).quota(kindOf(kind)!, id, { signal: session.io.signal });
  session.data(account);
  sayOne(session, account);
  return EXIT.ok;
};

const reset: Action = async (session, [kind, id], options) => {
  const subject = kindOf(kind);
  if (subject === undefined || id === undefined) throw badUsage('say whose: dats quota reset project demo');
  const body = checkedBody(resetQuotaSchema, { reason: options.reason as string | undefined }, { reason: '--reason' });
  const answer = await (await session.client()).resetQuota(subject, id, body, { signal: session.io.signal });
  session.data(answer);
  session.say(
    answer.done
      ? `${subject} ${harmless(id)}: begins anew`
      : `${subject} ${harmless(id)}: begins anew as soon as the ledger takes it in; is a process with the deciders role running?`,
  );
  return EXIT.ok;
};

export const quota: Register = (program, run) => {
  const command = program
    .command('quota')
    .description('budgets: what projects, users and agents may use of models, and have used')
    .addHelpText(
      'after',
      '\nExamples:\n  dats quota\n  dats quota show project demo\n  dats quota show user\n  dats quota reset user ada --reason "the budget was raised"',
    );
  command
    .command('show [kind] [id]', { isDefault: true })
    .description(`one account (kind: ${QUOTA_SUBJECTS.join(', ')}), those of a kind, or all`)
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1000), 100)
    .action(run(show));
  command
    .command('reset <kind> <id>')
    .description('begin an account anew: nothing used, in any window')
    .option('--reason <text>', 'why; it is kept')
    .action(run(reset));
};
