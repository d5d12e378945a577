// How the processes of an installation share what is lent: each tells the others which calls wait, which were taken and which are over, and when a node was here; what
// comes of a call goes to the process that waits for it.
//
// W1. A word may be lost, and one of another process may be late: a call that was taken or is over does not wait again. W2. A process that lends says so every third of a
// lease; when nothing was heard of it for a lease, nobody waits for its calls any more.
import type { RemoteCall, RemoteModel, RemotePart } from './exchange.js';

/** To the other processes, not to this one. streams/broadcast.ts has it. */
export interface Words {
  publish(channel: string, message: string): Promise<void>;
  /** @returns ends it */
  subscribe(channel: string, heard: (message: string) => void): () => void;
}

export type Word =
  | { readonly say: 'waits'; readonly node: string; readonly call: RemoteCall }
  | { readonly say: 'taken' | 'over'; readonly node: string; readonly call_id: string }
  | { readonly say: 'here'; readonly node: string; readonly models: readonly RemoteModel[] }
  | { readonly say: 'gone'; readonly node: string }
  /** Somebody waits in this process (W2). */
  | { readonly say: 'lends' };

type Said = Word & { readonly from: string };

interface Given {
  readonly node: string;
  readonly call_id: string;
  readonly part: RemotePart;
}

export interface Heard {
  waits(node: string, call: RemoteCall): void;
  taken(node: string, callId: string): void;
  over(node: string, callId: string): void;
  here(node: string, models: readonly RemoteModel[]): void;
  gone(node: string): void;
  part(node: string, callId: string, part: RemotePart): void;
}

export interface TellingOptions {
  readonly words: Words | undefined;
  readonly newId: () => string;
  readonly now: () => number;
  readonly leaseMs: number;
  readonly isLending: () => boolean;
  readonly heard: Heard;
}

export interface Telling {
  /** Names the process that waits, too. */
  idOf(id: string): string;
  tell(word: Word): void;
  /** To the process that waits for it. @returns whether it still does, as far as is known here */
  give(node: string, callId: string, part: RemotePart): Promise<boolean>;
  close(): void;
}

const ALL = 'exchange';
const channelOf = (self: string): string => `${ALL}/${self}`;
/** Of an id, at its end: what differs between any two. */
const NAME_CHARS = 12;
const OF_PROCESS = /^([0-9a-z]{1,12})\./;

const ALONE: Telling = { idOf: (id) => id, tell: () => {}, give: async () => false, close: () => {} };

export const openTelling = ({ words, newId, now, leaseMs, isLending, heard }: TellingOptions): Telling => {
  if (words === undefined) return ALONE;
  const self = newId().replaceAll('-', '').slice(-NAME_CHARS);
  /** Process -> when something was heard of it. */
  const seen = new Map<string, number>();
  /** Calls that wait no more: when that was heard, and whether they are over (W1). */
  const past = new Map<string, { readonly at: number; readonly over: boolean }>();
  const forget = (): void => {
    const before = now() - 2 * leaseMs;
    for (const [id, { at }] of past) if (at < before) past.delete(id);
    for (const [process, at] of seen) if (at < before) seen.delete(process);
  };

  const tell = (word: Word): void => {
    if (word.say === 'taken' || word.say === 'over') past.set(word.call_id, { at: now(), over: word.say === 'over' });
    void words.publish(ALL, JSON.stringify({ ...word, from: self } satisfies Said));
  };
  const hear = (said: Said): void => {
    seen.set(said.from, now());
    switch (said.say) {
      case 'waits':
        if (!past.has(said.call.call_id)) heard.waits(said.node, said.call);
        return;
      case 'taken':
      case 'over':
        past.set(said.call_id, { at: now(), over: said.say === 'over' || past.get(said.call_id)?.over === true });
        heard[said.say](said.node, said.call_id);
        return;
      case 'here':
        heard.here(said.node, said.models);
        return;
      case 'gone':
        heard.gone(said.node);
    }
  };
  const ends = [
    words.subscribe(ALL, (message) => hear(JSON.parse(message) as Said)),
    words.subscribe(channelOf(self), (message) => {
      const { node, call_id, part } = JSON.parse(message) as Given;
      heard.part(node, call_id, part);
    }),
  ];
  const timer = setInterval(() => {
    forget();
    if (isLending()) tell({ say: 'lends' });
  }, leaseMs / 3);
  timer.unref();

  return {
    idOf: (id) => `${self}.${id}`,
    tell,
    give: async (node, callId, part) => {
      const owner = OF_PROCESS.exec(callId)?.[1];
      if (owner === undefined || owner === self || past.get(callId)?.over === true) return false;
      if (now() - (seen.get(owner) ?? Number.NEGATIVE_INFINITY) > leaseMs) return false;
      await words.publish(channelOf(owner), JSON.stringify({ node, call_id: callId, part } satisfies Given));
      return true;
    },
    close: () => {
      clearInterval(timer);
      for (const end of ends) end();
    },
  };
};
