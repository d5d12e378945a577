// Numbers what models say and hands it to live text. It keeps one number for each speech that is under way, and nothing when it has ended.
//
// V1. The pieces of a speech are numbered one by one from its first number, the end included. V2. A speech that is longer than its numbers goes on unheard;
// its end has a number of its own. V3. A piece is small: what is kept for those who come late is cut by whole pieces.
import { SEQS_PER_RUN, type Speak } from '../processors/index.js';
import type { LiveText } from '../streams/index.js';

/** The longest piece, in UTF-16 code units; a model server that does not stream gives its whole answer at once. */
export const PIECE_CHARS = 4 * 1024;

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;

function* piecesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + PIECE_CHARS, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
    yield text.slice(start, end);
    start = end;
  }
}

/** Speeches that go to `live`. */
export const livePublisher =
  (live: Pick<LiveText, 'publish'>): Speak =>
  (taskId, attempt, firstSeq) => {
    const lastSeq = firstSeq + SEQS_PER_RUN - 1;
    let seq = firstSeq;
    let ended = false;
    const close = (at: number): void => live.publish(taskId, { attempt, seq: at, text: '', end: true });
    return {
      say: (text) => {
        if (ended) return;
        for (const piece of piecesOf(text)) {
          if (seq >= lastSeq) return;
          live.publish(taskId, { attempt, seq: seq++, text: piece });
        }
      },
      restart: () => {
        if (!ended && seq < lastSeq) close(seq++);
      },
      end: () => {
        if (ended) return;
        ended = true;
        close(seq);
      },
    };
  };
