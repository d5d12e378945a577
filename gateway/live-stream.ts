// The text of a task as a stream of server-sent events: what was said and is still kept, then what is said, until the task is over.
//
// V1. Text is a convenience, never the truth (streams/live-text.ts): what is missing is said (`gap`), and the log has the outcome. V2. The stream ends when
// the task is final: at once where its last attempt has said its end, otherwise when nothing more has come for `quietMs`. Text that waits to be taken is
// given first, however slow the client. V3. Ids only rise; a client that names its last one gets what is after it, as far as it is kept.

import { SEQS_PER_RUN } from '../processors/index.js';
import { isTerminal, type TaskState, type TaskView } from '../schemas/index.js';
import { eventOf, type LiveChunk, type LiveText, type Recorded } from '../streams/index.js';
import { isFinal } from './reads.js';
import { sseFrame } from './sse.js';
import type { Tail } from './tail.js';

/** Unless told otherwise; milliseconds. Live text that goes through a server is some tens of milliseconds behind, and so may its replay be. */
export const LIVE_QUIET_MS = 500;
/** After the end of the last attempt's text: it may have been said anew within the attempt. Milliseconds, and at most `quietMs`. */
const SETTLED_MS = 30;
/** The id of the last event: whoever comes back with it has everything. */
export const FINAL_ID = 'final';

/** A place in the text of a task. */
export interface TextPlace {
  readonly attempt: number;
  readonly seq: number;
}

export const formatPlace = ({ attempt, seq }: TextPlace): string => `${attempt}-${seq}`;
/** @returns undefined for what is no place. */
export const parsePlace = (text: string): TextPlace | undefined => {
  const [, attempt, seq] = /^(\d{1,9})-(\d{1,15})$/.exec(text) ?? [];
  return attempt === undefined || seq === undefined ? undefined : { attempt: Number(attempt), seq: Number(seq) };
};

const isAfter = (chunk: TextPlace, place: TextPlace): boolean =>
  chunk.attempt > place.attempt || (chunk.attempt === place.attempt && chunk.seq > place.seq);

/** How many pieces are missing right before this one: between two of a run, or at the beginning of a run. */
const missedBefore = (chunk: TextPlace, last: TextPlace | undefined): number => {
  const sameRun = last?.attempt === chunk.attempt && Math.floor(last.seq / SEQS_PER_RUN) === Math.floor(chunk.seq / SEQS_PER_RUN);
  return sameRun ? chunk.seq - last!.seq - 1 : chunk.seq % SEQS_PER_RUN;
};

/** A piece of text as events: what is missing before it, the text, the end. */
export const framesOfChunk = (chunk: LiveChunk, last: TextPlace | undefined): readonly Uint8Array[] => {
  const { attempt, seq, text, end } = chunk;
  const frames: Uint8Array[] = [];
  const missed = missedBefore(chunk, last);
  if (missed > 0) frames.push(sseFrame('gap', { attempt, seq, missed }));
  const id = formatPlace(chunk);
  if (text !== '') frames.push(sseFrame('text', { attempt, seq, text }, id));
  if (end === true) frames.push(sseFrame('end', { attempt, seq }, id));
  return frames;
};

interface Over {
  readonly state: TaskState;
  /** Its last attempt, where the end says which. */
  readonly attempt: number | undefined;
}

const overOf = (record: Recorded): Over => {
  const event = eventOf(record);
  const attempt = event.type === 'dats.task.completed' || event.type === 'dats.task.failed' ? event.data.attempt : undefined;
  return { state: event.type.slice('dats.task.'.length) as TaskState, attempt };
};

export interface LiveStream {
  readonly live: LiveText;
  readonly tail: Tail;
  readonly view: TaskView;
  readonly partition: number;
  /** What the client has. */
  readonly after: TextPlace | undefined;
  readonly quietMs: number;
}

/** How the task ends; undefined when `signal` aborts first. @throws Fault when the log cannot be read. */
const untilOver = async ({ tail, view, partition }: LiveStream, signal: AbortSignal): Promise<Over | undefined> => {
  const follow = { partition, from: view.last_offset + 1, project: view.project_id, task: view.task_id };
  for await (const batch of tail.follow(follow, signal)) {
    const last = batch.find((record) => isTerminal(record.type));
    if (last !== undefined) return overOf(last);
  }
  return undefined;
};

/** Frames of the text of a task until it is over, or `signal` aborts. */
export async function* liveFrames(stream: LiveStream, signal: AbortSignal): AsyncGenerator<readonly Uint8Array[], void> {
  const { live, view, quietMs } = stream;
  const stop = new AbortController();
  const end = (): void => stop.abort();
  signal.addEventListener('abort', end);
  if (signal.aborted) stop.abort();
  let over: Over | undefined = isFinal(view) ? { state: view.state, attempt: view.attempt } : undefined;
  let failure: unknown;
  let last = stream.after;
  let ended = 0;
  let waiting = false;
  let quiet: NodeJS.Timeout | undefined;
  /** Only while nothing waits to be given to the client (V2). */
  const listen = (): void => {
    clearTimeout(quiet);
    if (over === undefined || !waiting) return;
    const saidAll = over.attempt !== undefined && ended >= over.attempt;
    quiet = setTimeout(end, saidAll ? Math.min(SETTLED_MS, quietMs) : quietMs);
  };
  const watching =
    over !== undefined
      ? Promise.resolve()
      : untilOver(stream, stop.signal).then(
          (found) => {
            over = found;
            listen();
          },
          (error: unknown) => {
            failure = error;
            stop.abort();
          },
        );
  const chunks = live.follow(view.task_id, stop.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      waiting = true;
      listen();
      const step = await chunks.next();
      waiting = false;
      clearTimeout(quiet);
      if (step.done) break;
      if (step.value.end === true) ended = Math.max(ended, step.value.attempt);
      if (stream.after !== undefined && !isAfter(step.value, stream.after)) continue;
      const frames = framesOfChunk(step.value, last);
      last = step.value;
      yield frames;
    }
    if (failure !== undefined) throw failure;
    if (over !== undefined && !signal.aborted) yield [sseFrame('final', { state: over.state }, FINAL_ID)];
  } finally {
    clearTimeout(quiet);
    stop.abort();
    signal.removeEventListener('abort', end);
    // Where the client went away in the middle, the follower is still there.
    await Promise.all([watching, chunks.return?.()]);
  }
}
