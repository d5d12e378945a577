// The questions that come with the product: SQL files, each with the question that it answers at its head. Reading them is nodes/stats-files.ts.
import { Fault, isFault, type StatsAnswer, type StatsQuery } from '../../schemas/index.js';
import type { Analytics, Answer, AskLimits } from '../../streams/index.js';
import { refuse } from '../problem.js';
import { timeText } from './sql-text.js';

export interface StatsQuestion {
  readonly name: string;
  /** What it answers, in a sentence. */
  readonly question: string;
  readonly sql: string;
}

/** From the file `<name>.sql`: its first comment lines are the question. @throws Fault terminal `bad_stats` for a file without one */
export const statsQuestionOf = (name: string, text: string): StatsQuestion => {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('--') || line.trim() === '--');
  const question = lines
    .slice(0, end)
    .map((line) => line.slice(2).trim())
    .join(' ');
  if (question === '')
    throw new Fault('terminal', 'bad_stats', `${name}.sql does not begin with a comment that says which question it answers`);
  return { name, question, sql: lines.slice(end).join('\n').trim() };
};

/** What every question may be given: `{project:String}` (empty: all), `{since:...}`, `{until:...}`, `{limit:UInt32}`. */
export const statsParameters = ({ project_id, since, until, limit }: StatsQuery) => ({
  project: project_id ?? '',
  since: timeText(since ?? '1970-01-01T00:00:00Z'),
  until: timeText(until ?? '9999-12-31T00:00:00Z'),
  limit,
});

/** A statement of ours that is refused is our slip, not that of whoever asks. */
const answered = async (asking: Promise<Answer>, name: string): Promise<Answer> => {
  try {
    return await asking;
  } catch (error) {
    if (!isFault(error) || error.code !== 'query_refused') throw error;
    throw new Fault('terminal', 'analytics_refused', `${name}.sql was refused: ${error.message}`, { cause: error });
  }
};

/** @throws Fault terminal `stats_not_found`, `analytics_refused`, and as `Analytics.ask` */
export const statsOf = async (
  analytics: Analytics,
  questions: readonly StatsQuestion[],
  name: string,
  query: StatsQuery,
  limits: AskLimits,
): Promise<StatsAnswer> => {
  const found = questions.find((one) => one.name === name);
  if (found === undefined)
    throw refuse('stats_not_found', `there is no question "${name}"; there are: ${questions.map((one) => one.name).join(', ') || 'none'}`);
  const { columns, rows } = await answered(analytics.ask(found.sql, limits, statsParameters(query)), name);
  return { name, question: found.question, columns: [...columns], rows: rows.map((row) => [...row]) };
};
