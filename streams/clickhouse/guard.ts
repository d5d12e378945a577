// Is this one statement that only reads? Judged on what the engine's own formatter makes of it, so that quotes, comments and case hide nothing.
//
// U1. The engine runs it read-only anyway (no writing, no table function that reaches out). This refuses what read-only mode lets through: `INTO OUTFILE`
// (embedded, it writes a file), `file()` (embedded, it reads any file), KILL, USE, and functions that call services. U2. FORMAT is ours.
// U3. What is judged is what is run: values are bound after it, and never into literals (engine/front.ts).
import { Fault } from '../../schemas/index.js';

const KINDS = /^\(*(SELECT|WITH|EXPLAIN|SHOW|DESCRIBE|EXISTS)\b/;
/**
 * What reaches outside the tables when it is only named: some table functions open files or connections before anybody looks at whether they may
 * (`sqlite` makes the file), and `eval` runs text. The rest of them read-only mode refuses; here are all, so that this does not depend on it.
 */
const OUTSIDE = [
  'file|fileCluster|filesystem|sqlite|executable|eval|python|input|loop|catboostEvaluate|ai[A-Z]\\w*',
  'url|urlCluster|remote|remoteSecure|cluster|clusterAllReplicas|mysql|postgresql|mongodb|redis|jdbc|odbc|ytsaurus|arrow\\w+|dictionary',
  's3\\w*|gcs|oss|cosn|hdfs\\w*|azureBlobStorage\\w*|iceberg\\w*|deltaLake\\w*|hudi\\w*|paimon\\w*',
].join('|');
const REACHING = new RegExp(`(?<![\\w.])(${OUTSIDE})\\s*\\(`, 'i');
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
