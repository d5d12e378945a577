// What R2 knows: which records were appended when, which were answered, and whether a group has settled. Pure: no process, no broker, no clock.
import type { Topic } from '../schemas/index.js';

export const QUESTIONS = 'dats.work.small' satisfies Topic;
export const ANSWERS = 'dats.work.medium' satisfies Topic;
export const GROUP = 'rebalanced';
/** A record takes 0 to so many milliseconds of work. */
export const WORK_MS = 5;

export interface MemberSettings {
  readonly brokers: string;
  readonly prefix: string;
  readonly partitions: number;
  readonly node: string;
}

/** Every partition has one owner, and no member has two more than another. */
export const isSettled = (owned: Iterable<readonly number[]>, partitions: number): boolean => {
  const shares = [...owned];
  const all = shares.flat();
  const sizes = shares.map((share) => share.length);
  return all.length === partitions && new Set(all).size === partitions && Math.max(...sizes) - Math.min(...sizes) <= 1;
};

/** Questions by their place, `<partition>-<offset>`, which is what an answer says. */
export class Ledger {
  readonly #appendedAt = new Map<string, number>();
  /** When the newest answered question of a partition was appended. */
  readonly #newest: number[];
  /** Answers to questions that are not acknowledged, not yet or never. */
  readonly #early = new Map<string, number>();
  readonly #unanswered = new Set<string>();
  #longestMs = 0;

  constructor(partitions: number) {
    this.#newest = Array.from({ length: partitions }, () => Number.NEGATIVE_INFINITY);
  }

  /** The question at this place was being appended from `at` on (monotonic milliseconds), and is acknowledged. */
  appended(place: string, at: number): void {
    this.#appendedAt.set(place, at);
    this.#unanswered.add(place);
    const answeredAt = this.#early.get(place);
    if (answeredAt !== undefined && this.#early.delete(place)) this.#note(place, at, answeredAt);
  }

  /** An answer was read. It may be faster than the acknowledgement of its question. */
  answered(place: string, at: number): void {
    const appendedAt = this.#appendedAt.get(place);
    if (appendedAt === undefined) this.#early.set(place, at);
    else this.#note(place, appendedAt, at);
  }

  #note(place: string, appendedAt: number, answeredAt: number): void {
    const partition = Number(place.slice(0, place.indexOf('-')));
    this.#newest[partition] = Math.max(this.#newest[partition]!, appendedAt);
    this.#unanswered.delete(place);
    this.#longestMs = Math.max(this.#longestMs, answeredAt - appendedAt);
  }

  /** In every partition a question that was appended after `at` has been answered. */
  answersSince(at: number): boolean {
    return this.#newest.every((newest) => newest > at);
  }

  /** Every acknowledged question has its answer. */
  get complete(): boolean {
    return this.#unanswered.size === 0;
  }

  get acknowledged(): readonly string[] {
    return [...this.#appendedAt.keys()];
  }

  /** The longest time from appending a question to reading its answer since the last call, in milliseconds. */
  takeLongest(): number {
    const ms = this.#longestMs;
    this.#longestMs = 0;
    return ms;
  }
}

export interface Verdict {
  /** Questions in the log without an answer, and acknowledged ones that are not in the log. */
  readonly lost: number;
  /** Answers more than one to a question, and answers to nothing. */
  readonly doubled: number;
}

export const verdictOf = (acknowledged: readonly string[], questions: readonly string[], answers: readonly string[]): Verdict => {
  const asked = new Set(questions);
  const answered = new Set(answers.filter((place) => asked.has(place)));
  const gone = acknowledged.filter((place) => !asked.has(place)).length;
  return { lost: asked.size - answered.size + gone, doubled: answers.length - answered.size };
};
