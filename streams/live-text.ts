// Live text: what a model is saying about a task right now, from whichever process it says it in to whoever watches. The port, and the follower that
// its adapters share.
//
// T1. It is a convenience and never the truth: the log holds what was said in the end. It may lose, also while its server
// is away. T2. It never reorders and never repeats: a follower sees (attempt, seq) only rise. Chunks of an attempt are numbered one by one, so text
// that was lost shows as a hole in `seq`. T3. Who comes late sees what was said before (the last REPLAY_BYTES, for REPLAY_MS), then what
// follows, with nothing lost in between. T4. Nobody waits for a follower: one that does not keep up loses the oldest text that waits for it.

/** What is kept of a task's text for those who come late, in bytes, and for how long after the last of it, in milliseconds. */
export const REPLAY_BYTES = 64 * 1024;
export const REPLAY_MS = 5 * 60_000;
/** What may wait for a follower, in characters; each chunk counts for some more than its text. */
export const FOLLOWER_CHARS = 256 * 1024;
export const CHUNK_OVERHEAD_CHARS = 32;

export interface LiveChunk {
  /** From 1. */
  readonly attempt: number;
  /** Place in the attempt's text; the next chunk has the next number. */
  readonly seq: number;
  readonly text: string;
  /** The attempt says nothing more. There may be another attempt. */
  readonly end?: boolean;
}

export interface LiveText {
  /** Hands a chunk to whoever follows the task, in any process. Never waits, never throws; dropped when it cannot be sent soon (T1). */
  publish(taskId: string, chunk: LiveChunk): void;
  /** What was said and, from its first read on, what is being said, until `signal` aborts or the adapter is closed; then it returns, it does not throw. */
  follow(taskId: string, signal: AbortSignal): AsyncIterable<LiveChunk>;
  /** Sends what waits, ends all followers. Twice is fine. */
  close(): Promise<void>;
}

export const costOf = (chunk: LiveChunk): number => chunk.text.length + CHUNK_OVERHEAD_CHARS;

/** One who watches a task: puts replay and live text in order and holds what was not read yet. */
export class LiveFollower {
  #queue: LiveChunk[] = [];
  #queuedChars = 0;
  /** Live text that arrives before the replay it belongs after; undefined once that is in. */
  #held: LiveChunk[] | undefined = [];
  #heldChars = 0;
  #round = 0;
  #last: LiveChunk | undefined;
  #ended = false;
  #wake = (): void => {};

  /** From here on live text is held until the replay of this round is in. @returns the round. */
  hold(): number {
    this.#held ??= [];
    return ++this.#round;
  }

  /** What was said until now; counts only when no newer round began. */
  replay(round: number, said: readonly LiveChunk[]): void {
    if (round !== this.#round) return;
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldChars = 0;
    for (const chunk of said) this.#deliver(chunk);
    for (const chunk of held) this.#deliver(chunk);
  }

  /** Live text, in the order of its arrival. */
  take(chunk: LiveChunk): void {
    if (this.#held === undefined) this.#deliver(chunk);
    else {
      this.#held.push(chunk);
      this.#heldChars += costOf(chunk);
      while (this.#heldChars > FOLLOWER_CHARS && this.#held.length > 1) this.#heldChars -= costOf(this.#held.shift()!);
    }
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** For one reader. */
  async *chunks(): AsyncGenerator<LiveChunk, void, undefined> {
    while (!this.#ended) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#queuedChars -= costOf(chunk);
        yield chunk;
      } else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  #deliver(chunk: LiveChunk): void {
    if (this.#last !== undefined && !isAfter(chunk, this.#last)) return;
    this.#last = chunk;
    this.#queue.push(chunk);
    this.#queuedChars += costOf(chunk);
    while (this.#queuedChars > FOLLOWER_CHARS && this.#queue.length > 1) this.#queuedChars -= costOf(this.#queue.shift()!);
    this.#wake();
  }
}

const isAfter = (chunk: LiveChunk, last: LiveChunk): boolean =>
  chunk.attempt > last.attempt || (chunk.attempt === last.attempt && chunk.seq > last.seq);

/** Runs a follower from its first read to `signal`; `join` and `leave` connect it with what it follows. */
export async function* followUntil(
  signal: AbortSignal,
  join: (follower: LiveFollower) => void,
  leave: (follower: LiveFollower) => void,
): AsyncGenerator<LiveChunk, void, undefined> {
  if (signal.aborted) return;
  const follower = new LiveFollower();
  const end = (): void => follower.end();
  signal.addEventListener('abort', end);
  try {
    join(follower);
    yield* follower.chunks();
  } finally {
    signal.removeEventListener('abort', end);
    leave(follower);
  }
}
