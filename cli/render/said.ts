// What is said of an event: a verb, and the one thing worth knowing. Each family of events has its own file of sayers.
import type { EventOf, EventType } from '../../schemas/index.js';

export type Paint = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'magenta';
export interface Said {
  readonly verb: string;
  readonly detail: string;
  readonly paint?: Paint;
}
export type Sayers = { readonly [T in EventType]?: (event: EventOf<T>) => Said };

export const plural = (n: number, word: string): string => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
