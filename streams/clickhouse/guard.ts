// Is this one statement that only reads? Judged on what the engine's own formatter makes of it, so that quotes, comments and case hide nothing.
//
// U1. The engine runs it read-only anyway (no writing, no table function that reaches out). This refuses what read-only mode lets through: `INTO OUTFILE`
// (embedded, it writes a file), `file()` (embedded, it reads any file), KILL, USE, and functions that call services. U2. FORMAT is ours.
import { Fault } from '../../schemas/index.js';

const KINDS = /^\(*(SELECT|WITH|EXPLAIN|SHOW|DESCRIBE|EXISTS)\b/;
const REACHING = /(?<![\w.])(file|catboostEvaluate|ai[A-Z]\w*)\s*\(/i;
/** String literals and quoted names, as the formatter writes them: in one pass, as each may hold the other's quotes. */
const QUOTED = /'(?:[^'\\]|\\.)*'|`((?:[^`\\]|\\.)*)`/g;

/** The statement without what is in quotes; a quoted name that could stand without quotes does. */
const bareOf = (formatted: string): string =>
  formatted.replace(QUOTED, (_, name?: string) => (name === undefined ? "''" : /^\w+$/.test(name) ? name : 'quoted'));

/** @param formatted one statement, as `formatQuerySingleLine` gives it. @throws Fault terminal `query_refused` */
export const checkReadOnly = (formatted: string): void => {
  const bare = bareOf(formatted);
  const refuse = (why: string): never => {
    throw new Fault('terminal', 'query_refused', why);
  };
  if (!KINDS.test(bare))
    refuse(`only statements that read are run here (SELECT, WITH, EXPLAIN, SHOW, DESCRIBE, EXISTS), not: ${formatted.slice(0, 80)}`);
  if (/\bINTO OUTFILE\b/.test(bare)) refuse('INTO OUTFILE is not run here: the answer comes back to you');
  if (/\bFORMAT \w+/.test(bare) && !bare.startsWith('SHOW')) refuse('leave FORMAT out: the answer has one form here');
  const reaching = REACHING.exec(bare);
  if (reaching !== null) refuse(`the function ${reaching[1]} is not run here: it reaches outside the tables`);
};
