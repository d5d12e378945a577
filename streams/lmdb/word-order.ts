// Puts words that come over several sockets in the order in which they were said. No input or output: it is told what came, and when the event loop turned.
//
// O1. A word carries the time when it was said, of the machine's monotonic clock, which its processes share; each speaker's words come in its order. O2. A
// word is told when whatever was said and taken before it has been read: that is so when, in a whole turn of the event loop that began after it was read,
// each speaker's socket was empty or gave a word that was said later. For the kernel reports every socket that has something, in any order.
// O3. No word is held longer than HELD_MS: a speaker may talk without end, or live by another clock.

/** How long a word waits for what may have been said before it, in milliseconds. */
export const HELD_MS = 1_000;

interface Word {
  readonly at: number;
  readonly channel: string;
  readonly message: string;
  /** The turn of the event loop that it was read in. */
  readonly turn: number;
  /** When it is told at the latest, in milliseconds of this process's clock. */
  readonly until: number;
}

/** One from whom words come, in the order in which it said them. */
export interface Speaker {
  /** Something came from it, be it a part of a word. */
  stirs(): void;
  says(at: number, channel: string, message: string): void;
  leaves(): void;
}

export interface WordOrder {
  /** The time to say a word with, in nanoseconds: rises in all processes of a machine alike. */
  now(): number;
  enters(): Speaker;
}

/**
 * @param tell gets the words, in order
 * @param elapsed milliseconds, never backwards
 */
export const openWordOrder = (
  tell: (channel: string, message: string) => void,
  elapsed: () => number = () => performance.now(),
): WordOrder => {
  /** Of each speaker the time of its newest word, and the last turn in which something came from it. */
  const speakers = new Set<{ newest: number; turn: number }>();
  let held: Word[] = [];
  let turn = 0;
  let isDue = false;

  /** The time up to which nothing is missing, at the end of a turn (O2). */
  const complete = (): number => {
    let least = Number.POSITIVE_INFINITY;
    for (const speaker of speakers) if (speaker.turn === turn) least = Math.min(least, speaker.newest);
    return least;
  };
  const turned = (): void => {
    isDue = false;
    const [least, now] = [complete(), elapsed()];
    let upTo = Number.NEGATIVE_INFINITY;
    for (const word of held) if (word.turn < turn && (word.at <= least || word.until <= now)) upTo = Math.max(upTo, word.at);
    const ready = held.filter(({ at }) => at <= upTo).sort((a, b) => a.at - b.at);
    held = held.filter(({ at }) => at > upTo);
    turn++;
    if (held.length > 0) endTurn();
    for (const { channel, message } of ready) tell(channel, message);
  };
  const endTurn = (): void => {
    if (isDue) return;
    isDue = true;
    setImmediate(turned);
  };

  return {
    now: () => Number(process.hrtime.bigint()),
    enters: () => {
      const speaker = { newest: Number.NEGATIVE_INFINITY, turn };
      speakers.add(speaker);
      return {
        stirs: () => {
          speaker.turn = turn;
        },
        says: (at, channel, message) => {
          speaker.newest = at;
          speaker.turn = turn;
          held.push({ at, channel, message, turn, until: elapsed() + HELD_MS });
          endTurn();
        },
        leaves: () => void speakers.delete(speaker),
      };
    },
  };
};
