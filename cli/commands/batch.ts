// `dats batch`: many tasks from a JSON Lines file; with --wait until all have ended.
import { BATCH_LIMIT, Fault, isFault, type TaskView } from '../../schemas/index.js';
import { type BatchAnswer, type DatsClient, RECONNECT_FOR_MS, type SubmitBody, sleep, statusOfFault } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { clip, duration, oneLine } from '../render/index.js';
import type { Register, Session } from '../session.js';
import { bodiesOf } from '../submission.js';

/** Below the server's default limit of a body, bytes. */
const REQUEST_BYTES = 12 * 1024 * 1024;
/** Tasks looked at at a time while waiting, and the pause between two looks at all of them, milliseconds. */
const LOOKS = 16;
const LOOK_PAUSE_MS = 200;
/** The pause where nothing can be looked at now, and the server does not say for how long, milliseconds. */
const AWAY_PAUSE_MS = 1_000;

/** Requests that the server will take. Items that name each other by `ref` must stay together. */
export const chunksOf = (bodies: readonly SubmitBody[], count = BATCH_LIMIT, bytes = REQUEST_BYTES): readonly (readonly SubmitBody[])[] => {
  const chunks: SubmitBody[][] = [[]];
  let size = 0;
  for (const body of bodies) {
    const length = Buffer.byteLength(JSON.stringify(body)) + 1;
    const last = chunks.at(-1)!;
    if (last.length > 0 && (last.length >= count || size + length > bytes)) {
      chunks.push([body]);
      size = length;
    } else {
      last.push(body);
      size += length;
    }
  }
  if (chunks.length > 1 && bodies.some((body) => body.ref !== undefined))
    throw badUsage(
      `tasks that name each other by "ref" must fit into one request (${count} tasks, ${bytes} bytes); split the file so that each part stands alone`,
    );
  return chunks;
};

const ended = (view: TaskView): boolean => view.status === 'completed' || view.status === 'failed' || view.status === 'cancelled';

/** How a task stands, or why that cannot be told now. @throws what no later look mends */
const lookAt = async (client: DatsClient, id: string, signal: AbortSignal): Promise<TaskView | Fault> => {
  try {
    return await client.get(id, { signal });
  } catch (error) {
    if (signal.aborted || !isFault(error, 'retryable')) throw error;
    return error;
  }
};

/** Did the server say so itself? */
const isAnswered = (fault: Fault): boolean => statusOfFault(fault) !== undefined;

/** One look at all tasks, some at a time. `away`: why one cannot be told of; where that is because nobody answers, the rest is left for the next look. */
const lookAtAll = async (client: DatsClient, ids: readonly string[], signal: AbortSignal, onEnd: (view: TaskView) => void) => {
  const open: string[] = [];
  let away: Fault | undefined;
  for (let i = 0; i < ids.length; i += LOOKS) {
    const some = ids.slice(i, i + LOOKS);
    const seen = away === undefined || isAnswered(away) ? await Promise.all(some.map((id) => lookAt(client, id, signal))) : [];
    some.forEach((id, k) => {
      const one = seen[k];
      if (one instanceof Fault) away = one;
      if (one === undefined || one instanceof Fault || !ended(one)) open.push(id);
      else onEnd(one);
    });
  }
  return { open, away };
};

/**
 * Looks at the open tasks until all have ended. A server that cannot tell now (its views are being rebuilt) is asked again when it says; one that does not
 * answer, until `RECONNECT_FOR_MS` have been waited in vain.
 */
const untilEnded = async (session: Session, client: DatsClient, ids: readonly string[], onEnd: (view: TaskView) => void): Promise<void> => {
  const { signal } = session.io;
  const pause = session.deps.sleep ?? sleep;
  let told: string | undefined;
  let lostMs = 0;
  for (let left = ids; left.length > 0; ) {
    const { open, away } = await lookAtAll(client, left, signal, onEnd);
    left = open;
    if (left.length === 0) return;
    if (away !== undefined && away.message !== told) session.note(`looking again: ${away.message}`);
    told = away?.message;
    const ms = away === undefined ? LOOK_PAUSE_MS : Math.max(LOOK_PAUSE_MS, away.retryAfterMs ?? AWAY_PAUSE_MS);
    lostMs = away === undefined || isAnswered(away) ? 0 : lostMs + ms;
    if (away !== undefined && lostMs > RECONNECT_FOR_MS) throw away;
    await pause(ms, signal);
  }
};

const refusal = (answer: BatchAnswer): string => {
  const problem = answer.problem;
  return problem === undefined ? 'refused' : oneLine(problem.detail || problem.title);
};

const runBatch = async (session: Session, file: string, wait: boolean): Promise<number> => {
  const { io } = session;
  const name = file === '-' ? 'standard input' : file;
  const chunks = chunksOf(bodiesOf(file === '-' ? await io.stdin() : session.read(file), name));
  const client = await session.client();
  const started = io.now();
  const accepted: string[] = [];
  let refused = 0;
  let sent = 0;
  for (const chunk of chunks) {
    for (const answer of await client.submitBatch(chunk, { signal: io.signal })) {
      session.data({ ...answer, index: sent + answer.index });
      if (answer.task !== undefined) {
        accepted.push(answer.task.task_id);
        if (!wait && !session.quiet) session.say(answer.task.task_id);
      } else {
        refused++;
        session.say(`task ${sent + answer.index + 1} refused: ${refusal(answer)}`);
      }
    }
    sent += chunk.length;
  }
  session.note(`${accepted.length} accepted, ${refused} refused in ${duration(io.now() - started)}`);
  if (!wait) return refused === 0 ? EXIT.ok : EXIT.failed;

  const counts = { completed: 0, failed: 0, cancelled: 0 };
  const foot = io.tty && !session.json && !session.quiet;
  const said = (): string =>
    `${counts.completed + counts.failed + counts.cancelled}/${accepted.length} ended, ${counts.failed} failed, ${counts.cancelled} cancelled`;
  await untilEnded(session, client, accepted, (view) => {
    counts[view.status as keyof typeof counts]++;
    session.data(view);
    if (foot) io.out(`\r\u001b[K${clip(said(), io.columns - 1)}`);
    if (view.status !== 'completed')
      session.say(`${foot ? '\r\u001b[K' : ''}${view.task_id} ${view.state}: ${oneLine(view.error?.message ?? view.title)}`);
  });
  if (foot) io.out('\r\u001b[K');
  const took = io.now() - started;
  session.say(
    `${counts.completed} completed, ${counts.failed} failed, ${counts.cancelled} cancelled, ${refused} refused in ${duration(took)} (${((accepted.length / Math.max(1, took)) * 1000).toFixed(1)} tasks/s)`,
  );
  return counts.completed === sent ? EXIT.ok : EXIT.failed;
};

export const batch: Register = (program, run) => {
  program
    .command('batch <file>')
    .description('submit many tasks: JSON Lines, one task a line; "-" reads standard input')
    .option('--wait', 'wait until all have ended; exit code 1 unless all are completed')
    .addHelpText('after', '\nExamples:\n  dats batch tasks.jsonl --wait\n  jq -c ".[]" tasks.json | dats batch - --json')
    .action(run((session, [file], options) => runBatch(session, file!, options.wait === true)));
};
