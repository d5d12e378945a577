// Dead letters: the fold of `dats.dlq`. A letter is a record with `dlq.id`; its resolution is a marker record after it.
//
// Q1. A retry appends the original record and the marker in one atomic append: both or none. Q2. The fold goes on from where it was; it keeps LETTERS_LIMIT
// letters, dropping the oldest resolved ones first, then the oldest. Q3. Callers at the same time share a pass; one that is cut short by FOLD_MS keeps what
// it took in, and is told as `log_unavailable`.
import { DLQ, Fault, LETTER, type Position, timeoutSignal } from '../schemas/index.js';
import type { Log, Outgoing, Recorded } from '../streams/index.js';
import { revive } from '../streams/runtime/index.js';
import { refuse } from './problem.js';

export const LETTERS_LIMIT = 100_000;
/** How long one pass may take, milliseconds. */
const FOLD_MS = 6_000;
const RESOLVES = 'dlq.resolves';
const RESOLUTION = 'dlq.resolution';

export type Resolution = 'retried' | 'discarded';

export interface DeadLetter {
  readonly id: string;
  readonly state: 'open' | Resolution;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly group: string;
  readonly type: string;
  readonly subject: string | null;
  readonly project_id: string | null;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  readonly retryable: boolean;
  readonly first_failed_at: string;
  readonly failed_at: string;
  readonly resolved_at: string | null;
  readonly resolved_by: string | null;
}

interface Held {
  readonly at: Position;
  letter: DeadLetter;
}

export interface LetterContent {
  /** Headers of the original record, and what is known of its failure. */
  readonly headers: Readonly<Record<string, string>>;
  /** As UTF-8; base64 where it is none. */
  readonly value: string;
  readonly encoding: 'utf8' | 'base64';
}

export interface DeadLetters {
  /** Newest first. `after`: the id of the last one seen. */
  list(
    filter: { readonly state?: DeadLetter['state'] | undefined },
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<{ letters: DeadLetter[]; more: boolean }>;
  /** @throws Fault `dead_letter_not_found`. */
  get(id: string): Promise<DeadLetter & LetterContent>;
  /** @throws Fault `dead_letter_not_found`, `dead_letter_resolved`. */
  resolve(id: string, resolution: Resolution, by: string): Promise<DeadLetter>;
}

const letterOf = (record: Recorded): DeadLetter => {
  const h = record.headers;
  return {
    id: h[LETTER.id]!,
    state: 'open',
    topic: h[LETTER.topic] ?? '',
    partition: Number(h[LETTER.partition] ?? 0),
    offset: Number(h[LETTER.offset] ?? 0),
    group: h[LETTER.group] ?? '',
    type: record.type,
    subject: h.subject ?? null,
    project_id: h.projectid ?? null,
    code: h[LETTER.code] ?? 'unknown',
    message: h[LETTER.message] ?? '',
    attempts: Number(h[LETTER.attempts] ?? 0),
    retryable: h[LETTER.retryable] === 'true',
    first_failed_at: h[LETTER.firstFailedAt] ?? '',
    failed_at: h[LETTER.failedAt] ?? '',
    resolved_at: null,
    resolved_by: null,
  };
};

export const createDeadLetters = (log: Log, now: () => number, foldMs = FOLD_MS): DeadLetters => {
  const held = new Map<string, Held>();
  const next = new Map<number, number>();
  let folding: Promise<void> | undefined;
  let folds: Promise<void> | undefined;
  /** Letters whose resolution is being appended by this process. */
  const resolving = new Set<string>();

  const take = (record: Recorded) => {
    const id = record.headers[LETTER.id];
    const marks = record.headers[RESOLVES];
    // The same record can fail into the same letter again, after a retry or a crash: the newest counts.
    if (id !== undefined) {
      held.delete(id);
      const { topic, partition, offset } = record;
      held.set(id, { at: { topic, partition, offset }, letter: letterOf(record) });
    } else if (marks !== undefined) {
      const known = held.get(marks);
      if (known === undefined) return;
      const state = record.headers[RESOLUTION] === 'retried' ? 'retried' : 'discarded';
      known.letter = {
        ...known.letter,
        state,
        resolved_at: record.headers['dlq.resolved_at'] ?? null,
        resolved_by: record.headers['dlq.resolved_by'] ?? null,
      };
    }
  };

  const trim = () => {
    for (const [id, { letter }] of held) {
      if (held.size <= LETTERS_LIMIT) return;
      if (letter.state !== 'open') held.delete(id);
    }
    for (const id of held.keys()) {
      if (held.size <= LETTERS_LIMIT) return;
      held.delete(id);
    }
  };

  const fold = async () => {
    const partitions = Array.from({ length: log.partitions(DLQ) }, (_, partition) => partition);
    const ranges = await Promise.all(partitions.map((partition) => log.range(DLQ, partition)));
    const late = timeoutSignal(foldMs);
    for (const [partition, { first, end }] of ranges.entries()) {
      const from = Math.max(next.get(partition) ?? 0, first);
      if (from >= end) continue;
      for await (const batch of log.read({ topic: DLQ, partition, offset: from }, late, { until: end })) {
        for (const record of batch) take(record);
        trim();
        next.set(partition, batch.at(-1)!.offset + 1);
      }
      if (late.aborted) throw refuse('log_unavailable', `reading the dead letters took longer than ${foldMs} ms; try again`);
      next.set(partition, end);
    }
  };

  /** Takes in everything that was appended before the call. */
  const refresh = (): Promise<void> => {
    if (folding === undefined) {
      folding = fold().finally(() => {
        folding = undefined;
      });
      return folding;
    }
    // The pass under way may have begun before what this caller appended.
    folds ??= folding
      .catch(() => undefined)
      .then(() => {
        folds = undefined;
        return refresh();
      });
    return folds;
  };

  const find = async (id: string): Promise<Held> => {
    await refresh();
    const known = held.get(id);
    if (known === undefined) throw refuse('dead_letter_not_found', `there is no dead letter "${id}"`);
    return known;
  };

  const recordAt = async (id: string, at: Position): Promise<Recorded> => {
    const record = await log.get({ topic: DLQ, partition: at.partition, offset: at.offset });
    if (record === undefined) throw new Fault('terminal', 'event_missing', `the log does not hold dead letter ${id} any more`);
    return record;
  };

  return {
    list: async ({ state }, { after, limit }) => {
      await refresh();
      const letters: DeadLetter[] = [];
      let skipping = after !== undefined;
      for (const { letter } of [...held.values()].reverse()) {
        if (skipping) {
          skipping = letter.id !== after;
          continue;
        }
        if (state !== undefined && letter.state !== state) continue;
        if (letters.length === limit) return { letters, more: true };
        letters.push(letter);
      }
      return { letters, more: false };
    },
    get: async (id) => {
      const { at, letter } = await find(id);
      const { headers, value } = await recordAt(id, at);
      return { ...letter, headers, ...contentOf(value) };
    },
    resolve: async (id, resolution, by) => {
      const { at, letter } = await find(id);
      if (letter.state !== 'open' || resolving.has(id))
        throw refuse(
          'dead_letter_resolved',
          `dead letter "${id}" was ${letter.state === 'open' ? 'taken up by another request just now' : `${letter.state} at ${letter.resolved_at}`}`,
        );
      resolving.add(id);
      try {
        const record = await recordAt(id, at);
        const marker = markerOf(record, id, resolution, by, new Date(now()).toISOString());
        await log.append(resolution === 'retried' ? [revive(record), marker] : [marker]);
        return (await find(id)).letter;
      } finally {
        resolving.delete(id);
      }
    },
  };
};

const markerOf = (record: Recorded, id: string, resolution: Resolution, by: string, at: string): Outgoing => ({
  topic: DLQ,
  key: record.key,
  headers: { [RESOLVES]: id, [RESOLUTION]: resolution, 'dlq.resolved_at': at, 'dlq.resolved_by': by },
  value: '',
});

const contentOf = (value: Uint8Array | string): Pick<LetterContent, 'value' | 'encoding'> => {
  if (typeof value === 'string') return { value, encoding: 'utf8' };
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes)
    ? { value: text, encoding: 'utf8' }
    : { value: bytes.toString('base64'), encoding: 'base64' };
};
