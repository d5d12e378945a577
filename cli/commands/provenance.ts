// `dats provenance` and `dats lineage`: how something came to be, and what came of it.
import { EXECUTION_STATUSES, type Execution, LINEAGE_DEPTH_LIMIT, TAINTS } from '../../schemas/index.js';
import type { DatsClient, ExecutionFilter } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { withServer } from '../offline.js';
import { executionTable, lineageTree, provenanceLines } from '../render/index.js';
import type { Action, Register } from '../session.js';
import { instantOf, isPath, oneOf, wholeNumber } from './options.js';

const HISTORY = { needs: 'history' } as const;
const PAGE = 1_000;

/** An id stays what it is; a path is the newest artifact of that path. @throws Fault `bad_usage` where there is none */
const idOf = async (client: DatsClient, text: string, signal: AbortSignal): Promise<string> => {
  if (!isPath(text)) return text;
  for await (const { artifacts } of client.allExecutions({ q: text, limit: PAGE }, { signal })) {
    const found = artifacts.find(({ path }) => path === text);
    if (found !== undefined) return found.artifact_id;
  }
  throw badUsage(`nothing on record has made ${text}; dats provenance list --path ${text.split('/').at(-1)} shows what is near it`);
};

const showOne: Action = async (session, [id]) => {
  if (id === undefined)
    throw badUsage('of what? Give a path, or the id of a task, an artifact or an execution; dats provenance list shows them');
  const record = await withServer(session, HISTORY, async (client) => {
    const { signal } = session.io;
    return client.provenance(await idOf(client, id, signal), { signal });
  });
  session.data(record);
  session.say(...provenanceLines(record, session.colours));
  return EXIT.ok;
};

const filterOf = (options: Readonly<Record<string, unknown>>, now: number): ExecutionFilter => {
  const { project, task, model, prompt, node, status, taint, path, since, until } = options as Record<string, string | undefined>;
  return {
    project_id: project,
    task_id: task,
    model,
    prompt_version: prompt,
    node,
    status: oneOf('--status', status, EXECUTION_STATUSES),
    taint: oneOf('--taint', taint, TAINTS),
    q: path,
    since: instantOf('--since', since, now),
    until: instantOf('--until', until, now),
  };
};

const take = async (client: DatsClient, filter: ExecutionFilter, limit: number, signal: AbortSignal): Promise<readonly Execution[]> => {
  const executions: Execution[] = [];
  for await (const one of client.allExecutions({ ...filter, limit: Math.min(limit, PAGE) }, { signal })) {
    executions.push(one);
    if (executions.length >= limit) break;
  }
  return executions;
};

const showList: Action = async (session, _args, options) => {
  const limit = Number(options.limit);
  const filter = filterOf(options, session.io.now());
  const executions = await withServer(session, HISTORY, (client) => take(client, filter, limit, session.io.signal));
  for (const one of executions) session.data(one);
  session.say(...(executions.length === 0 ? ['no execution fits'] : executionTable(executions, session.colours)));
  if (executions.length >= limit) session.note(`(the newest ${limit}; more with --limit)`);
  return EXIT.ok;
};

export const provenance: Register = (program, run) => {
  const command = program
    .command('provenance [path-or-id]')
    .description('show how something came to be: by a path, or the id of a task, an artifact or an execution')
    .addHelpText(
      'after',
      '\nExamples:\n  dats provenance src/parser.ts\n  dats provenance 0199a1b2-...\n  dats provenance list --status rejected --since 24h\n  dats provenance list --path src/parser --json | jq .provenance_id',
    )
    .action(run(showOne));
  command
    .command('list')
    .description('list executions, newest first')
    .option('--project <id>', 'of this project')
    .option('--task <id>', 'of this task: its attempts')
    .option('--model <id>', 'by this model')
    .option('--prompt <version>', 'with this prompt version')
    .option('--node <id>', 'on this node')
    .option('--status <status>', EXECUTION_STATUSES.join(', '))
    .option('--taint <taint>', TAINTS.join(', '))
    .option('--path <text>', 'that made a file whose path holds this')
    .option('--since <time>', 'finished since then: 30m, 24h, 7d, or RFC 3339')
    .option('--until <time>', 'finished before then, in the same forms')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 100_000), 50)
    .action(run(showList));
};

export const lineage: Register = (program, run) => {
  program
    .command('lineage <path-or-id>')
    .description('show what artifacts were made from, or what was made from them, as a tree')
    .option('--up', 'what it was made from (the default)')
    .option('--down', 'what was made from it')
    .option('--depth <n>', 'steps', wholeNumber(1, LINEAGE_DEPTH_LIMIT), 10)
    .addHelpText('after', '\nExamples:\n  dats lineage src/parser.ts\n  dats lineage 0199a1b2-... --down --depth 3')
    .action(
      run(async (session, [id], options) => {
        if (options.up === true && options.down === true) throw badUsage('both --up and --down are given; give one of them');
        const direction = options.down === true ? 'down' : 'up';
        const asked = { direction, depth: Number(options.depth) } as const;
        const found = await withServer(session, HISTORY, async (client) => {
          const { signal } = session.io;
          return client.lineage(await idOf(client, id!, signal), asked, { signal });
        });
        session.data(found);
        session.say(...lineageTree(found, session.colours));
        if (found.truncated) session.note(`(more than ${found.nodes.length} artifacts: cut; ask for less with --depth)`);
        else if (found.edges.length === 0)
          session.note(direction === 'up' ? '(made from nothing that is recorded)' : '(nothing that is recorded was made from it)');
        return EXIT.ok;
      }),
    );
};
