// The text of a task while a model says it, through cuts and restarts of the server.
import type { TaskState } from '../../schemas/index.js';
import { Fault } from '../../schemas/index.js';
import { type FollowOptions, follow, type Open, type StreamEvent } from './events.js';

export type TextEvent =
  /** A piece, right after the one before. */
  | { readonly type: 'text'; readonly attempt: number; readonly seq: number; readonly text: string }
  /** This text is over; text after it, of the same attempt or a later one, begins anew. */
  | { readonly type: 'end'; readonly attempt: number; readonly seq: number }
  /** So many pieces are lost before what follows. */
  | { readonly type: 'gap'; readonly attempt: number; readonly seq: number; readonly missed: number }
  /** The task is over. The last event. */
  | { readonly type: 'final'; readonly state: TaskState };

const KINDS: ReadonlySet<string> = new Set<TextEvent['type']>(['text', 'end', 'gap', 'final']);

const textEventOf = ({ event, data }: StreamEvent): TextEvent => {
  try {
    return { type: event, ...(JSON.parse(data) as object) } as TextEvent;
  } catch (cause) {
    throw new Fault('terminal', 'bad_answer', 'the text stream held something that is not JSON; is it a DATS server of this version?', {
      cause,
    });
  }
};

/** Pieces of text until the task is over. @throws Fault as `follow` does. */
export async function* followText(open: Open, options: FollowOptions): AsyncGenerator<TextEvent> {
  for await (const raw of follow(open, ({ event }) => event === 'final', options)) if (KINDS.has(raw.event)) yield textEventOf(raw);
}
