// What a test of a log gets to work with.
import type { Log } from '../log.js';

/** Partitions of every topic in the contract. */
export const PARTITIONS = 4;

/** One store; every `open` is one more process on it, as far as the adapter can tell. */
export interface LogHarness {
  /** `node` is the name of the process, default `node-1`. */
  open(node?: string): Promise<Log>;
  /** Takes the members of that node out of their groups, as if the process had died. */
  expel(node: string): Promise<void>;
  /** Removes the store. */
  dispose(): Promise<void>;
  /** Random histories to try; default 25. Fewer where opening and joining cost a round trip each. */
  readonly histories?: number | undefined;
}

/** A harness for one test: closes what the test opened. */
export interface LogUnderTest {
  readonly histories?: number | undefined;
  open(node?: string): Promise<Log>;
  expel(node: string): Promise<void>;
}

export type Case = readonly [name: string, run: (log: LogUnderTest) => Promise<void>];
