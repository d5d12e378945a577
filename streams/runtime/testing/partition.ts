// One partition for tests of the runtime: offsets with gaps, commits that fail before or after they are written, owners that lose it.
import { Fault, type Position, type Topic } from '../../../schemas/index.js';
import type { Assignment, Commit, Outgoing, Recorded } from '../../log.js';

/** What happens to a commit: `before` it is written or `after`, this is thrown. */
export interface CommitFault {
  readonly at: 'before' | 'after';
  readonly fault: Fault;
}

export interface TestAssignment {
  readonly assignment: Assignment;
  revoke(): void;
}

export const fenced = (): Fault => new Fault('fenced', 'fenced', 'the partition has another owner');

export class TestPartition {
  readonly topic: Topic = 'dats.work.small';
  readonly records: Recorded[] = [];
  readonly outputs: Outgoing[] = [];
  readonly states = new Map<string, Uint8Array>();
  readonly commits: Commit[] = [];
  committed = 0;
  epoch = 0;
  /** Batches given out so far. */
  batches = 0;
  /** Asked at each commit; undefined lets it pass. */
  onCommit: (commit: Commit) => CommitFault | undefined | Promise<CommitFault | undefined> = () => undefined;
  #bell: (() => void)[] = [];

  add(offset: number, key: string, value = ''): void {
    const record = { topic: this.topic, partition: 0, offset, key, headers: { type: 'test' }, value, type: 'test', timestamp: 0 };
    this.records.push(record);
    this.#ring();
  }

  /** A new owner; the former one is fenced. */
  assign(): TestAssignment {
    const epoch = ++this.epoch;
    const revoke = new AbortController();
    const { committed, topic } = this;
    const assignment: Assignment = {
      topic,
      partition: 0,
      epoch,
      committed,
      revoked: revoke.signal,
      records: (options = {}) =>
        this.#read(committed, options.maxBatch ?? 100, [revoke.signal, ...(options.signal ? [options.signal] : [])]),
      state: async (key) => this.states.get(key),
      states: async function* () {},
      commit: (commit) => this.#commit(epoch, commit),
    };
    return {
      assignment,
      revoke: () => {
        revoke.abort();
        this.#ring();
      },
    };
  }

  async *#read(from: number, maxBatch: number, signals: readonly AbortSignal[]): AsyncGenerator<readonly Recorded[]> {
    let at = this.records.findIndex((record) => record.offset >= from);
    if (at < 0) at = this.records.length;
    for (const signal of signals) signal.addEventListener('abort', () => this.#ring(), { once: true });
    while (!signals.some((signal) => signal.aborted)) {
      const batch = this.records.slice(at, at + maxBatch);
      at += batch.length;
      if (batch.length > 0) {
        this.batches++;
        yield batch;
      } else await new Promise<void>((resolve) => this.#bell.push(resolve));
    }
  }

  async #commit(epoch: number, commit: Commit): Promise<readonly Position[]> {
    const trouble = await this.onCommit(commit);
    if (epoch !== this.epoch) throw fenced();
    if (trouble?.at === 'before') throw trouble.fault;
    if (commit.next < this.committed) throw new Error(`the committed offset fell from ${this.committed} to ${commit.next}`);
    this.committed = commit.next;
    this.outputs.push(...commit.outputs);
    this.commits.push(commit);
    for (const [key, value] of commit.states) {
      if (value === null) this.states.delete(key);
      else this.states.set(key, Buffer.from(value as Uint8Array));
    }
    if (trouble?.at === 'after') throw trouble.fault;
    return [];
  }

  #ring(): void {
    const waiting = this.#bell;
    this.#bell = [];
    for (const resolve of waiting) resolve();
  }
}

/** An output that says which record it came from. */
export const outputOf = (record: Recorded, text = 'done'): Outgoing => ({
  topic: 'dats.lifecycle',
  key: record.key,
  headers: {},
  value: `${text} ${record.offset}`,
});
