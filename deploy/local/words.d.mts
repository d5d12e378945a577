export function askedIn(words: readonly string[]): {
  readonly command: string;
  readonly names: readonly string[];
  /** Whether the servers were named. */
  readonly named: boolean;
  readonly fresh: boolean;
  readonly json: boolean;
};
