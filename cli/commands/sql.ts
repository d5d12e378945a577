// `dats sql`: one statement over history.
import { badUsage, EXIT } from '../exit.js';
import { withServer } from '../offline.js';
import { duration, rowObjects, rowsTable } from '../render/index.js';
import type { Register, Session } from '../session.js';

const statementOf = async ({ io }: Session, given: string | undefined): Promise<string> => {
  const sql = given === '-' ? await io.stdin() : (given ?? '');
  if (sql.trim() === '')
    throw badUsage(
      'what is to be asked? Give a statement in quotes, such as dats sql "SHOW TABLES FROM dats", or - to read it from standard input',
    );
  return sql;
};

export const sql: Register = (program, run) => {
  program
    .command('sql <statement>')
    .description('ask history in SQL: one statement of ClickHouse that only reads; - reads it from standard input')
    .addHelpText(
      'after',
      '\nExamples:\n  dats sql "SHOW TABLES FROM dats"\n  dats sql "SELECT model, count() FROM dats.provenance GROUP BY model"\n  dats sql - --json < report.sql | jq .',
    )
    .action(
      run(async (session, [given]) => {
        const statement = await statementOf(session, given);
        const answer = await withServer(session, { needs: 'history' }, (client) =>
          client.query(statement, {}, { signal: session.io.signal }),
        );
        for (const row of rowObjects(answer)) session.data(row);
        session.say(...rowsTable(answer, session.io.columns, session.colours));
        const count = (n: number, what: string): string => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
        session.note(`${count(answer.row_count, 'row')} in ${duration(answer.elapsed_ms)}; ${count(answer.rows_read, 'row')} looked at`);
        return EXIT.ok;
      }),
    );
};
