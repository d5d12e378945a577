// What a model says while it says it, from the callbacks of the model gateway to whoever takes it: the pieces that wait, and how it ended.
//
// S1. Nothing is held for long: pieces that wait are joined, and above WAITING_CHARS the model is stopped, as the client takes too little. S2. What was taken
// cannot be taken back: where a model fails in the middle and another begins anew, the ask is stopped and ends with an error. Before that a new beginning
// drops what waits, and nobody sees it. S3. `stop` ends the ask at once; afterwards nothing is said.
import type { Answer, Ask, ToolCallChunk } from '../../models/index.js';
import { Fault } from '../../schemas/index.js';
import { refuseWith } from './errors.js';

/** What may wait for a client, in UTF-16 code units. */
export const WAITING_CHARS = 1024 * 1024;

export type Piece = { readonly kind: 'text'; readonly text: string } | ToolCallChunk;
export type Outcome = { readonly ok: true; readonly answer: Answer } | { readonly ok: false; readonly error: unknown };

export interface Speech {
  /** Resolves when there is something to take, or it is over. For one who waits. */
  ready(): Promise<void>;
  /** What was said since the last time, joined. */
  take(): readonly Piece[];
  /** Set when it is over; what was said before may still be there to take. */
  readonly outcome: Outcome | undefined;
  stop(reason: unknown): void;
}

type Hearing = Required<Pick<Ask, 'onText' | 'onToolCall' | 'onRestart'>>;

const lengthOf = (piece: Piece): number =>
  piece.kind === 'text' ? piece.text.length : (piece.arguments?.length ?? 0) + (piece.name?.length ?? 0);

/** One piece for two, where they are of one kind and the second begins nothing. */
const joinedWith = (last: Piece, next: Piece): Piece | undefined => {
  if (last.kind === 'text') return next.kind === 'text' ? { kind: 'text', text: last.text + next.text } : undefined;
  if (next.kind === 'text' || next.index !== last.index || next.id !== undefined || next.name !== undefined) return undefined;
  return { ...last, arguments: (last.arguments ?? '') + (next.arguments ?? '') };
};

const interrupted = (code: string | undefined): Fault =>
  new Fault(
    'retryable',
    code ?? 'model_unreachable',
    'the model failed in the middle of its answer, of which some was sent already; what came is not the whole answer: ask again',
  );

/**
 * @param begin asks, with what it is to tell
 * @param lastFailure code of the fault of the last call that failed, where one did
 */
export const openSpeech = (
  begin: (hearing: Hearing, signal: AbortSignal) => Promise<Answer>,
  lastFailure: () => string | undefined,
): Speech => {
  const controller = new AbortController();
  let waiting: Piece[] = [];
  let chars = 0;
  let taken = false;
  let outcome: Outcome | undefined;
  let wake = (): void => {};

  const end = (how: Outcome): void => {
    if (outcome !== undefined) return;
    outcome = how;
    wake();
  };
  const stop = (reason: unknown): void => {
    if (outcome !== undefined) return;
    waiting = [];
    end({ ok: false, error: reason });
    controller.abort(reason);
  };
  const hear = (piece: Piece): void => {
    if (outcome !== undefined || (piece.kind === 'text' && piece.text === '')) return;
    const last = waiting.at(-1);
    const joined = last && joinedWith(last, piece);
    if (joined === undefined) waiting.push(piece);
    else waiting[waiting.length - 1] = joined;
    chars += lengthOf(piece);
    if (chars > WAITING_CHARS)
      stop(refuseWith('client_too_slow', 'the client takes less than the model says, and too much waits for it; the model was stopped'));
    wake();
  };
  const restart = (): void => {
    if (taken) return stop(interrupted(lastFailure()));
    waiting = [];
    chars = 0;
  };

  begin({ onText: (text) => hear({ kind: 'text', text }), onToolCall: hear, onRestart: restart }, controller.signal).then(
    (answer) => end({ ok: true, answer }),
    (error: unknown) => end({ ok: false, error }),
  );

  return {
    ready: async () => {
      if (waiting.length > 0 || outcome !== undefined) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    },
    take: () => {
      const pieces = waiting;
      waiting = [];
      chars = 0;
      if (pieces.length > 0) taken = true;
      return pieces;
    },
    get outcome() {
      return outcome;
    },
    stop,
  };
};
