// One line of the table of channels.ts: a role, and what it does with some topics.
import type { EventType } from './registry.js';
import type { Topic } from './topics.js';

export const ROLES = ['gateway', 'deciders', 'views', 'workers', 'link'] as const;
export type Role = (typeof ROLES)[number];

/** What lies on the dead letter topic besides events: records that could not be processed, and what became of them. */
export const LETTERS = ['dats.dead-letter', 'dats.dead-letter.resolution'] as const;
export type Letter = (typeof LETTERS)[number];

/** One thing that a role does with some topics. */
export interface Flow {
  readonly role: Role;
  readonly action: 'send' | 'receive';
  /** Tells flows of the same role, action and topic apart; camelCase, begins the operation's name after the role. */
  readonly verb: string;
  readonly topics: readonly Topic[];
  readonly messages: readonly (EventType | Letter)[];
  /** The consumer group; absent where every process reads everything for itself. */
  readonly group?: string;
  /** Only where the configuration asks for it. */
  readonly optional?: true;
  readonly summary: string;
}
