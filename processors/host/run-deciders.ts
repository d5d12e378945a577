// Runs a group of deciders over one owned partition: read, fold until quiet, commit outputs, state and offset together, again.
//
// R1. Nothing is visible before its commit: a crash anywhere repeats the batch from the last commit, with the same decisions.
// R2. A record that is no event, or that a decider cannot take, becomes a dead letter in its turn; the partition goes on.
// R3. A commit that fails for want of room or connection is tried again until it succeeds or the partition is revoked; nothing more is read meanwhile.
// R4. Nothing is decided under older settings than the event that it answers was said under. R5. What another node said is decided there: its copies are passed
// over, until the last word that brings the project here. While the log does not give the history behind it, it is asked again.
import { type DatsEvent, EVENTS, Fault, isFault, toFault } from '../../schemas/index.js';
import { type Assignment, type Commit, eventOf, isCopy, type Outgoing, outgoing, pause, type Recorded } from '../../streams/index.js';
import { deadLetter, deadLetterAlert, untilDone } from '../../streams/runtime/index.js';
import type { Decider } from '../decider.js';
import { type Arrival, type Arrivals, noArrivals } from './arrival.js';
import { type Fold, type FoldOptions, openFold } from './fold.js';
import { race, type Step } from './next-step.js';

export interface DeciderRun extends FoldOptions {
  readonly group: string;
  readonly deciders: readonly Decider[];
  /** Waits until what is in force here is no older than the version that an event names; undefined: it is. Absent: nothing ever changes. */
  readonly known?: (configversion: string, signal: AbortSignal) => Promise<void> | undefined;
  /** Projects that come from other nodes; absent: this is the only node. */
  readonly arrivals?: Arrivals;
  /** Records a commit takes at most. */
  readonly maxBatch?: number;
  /** Told of failures that are being retried or turned into dead letters. */
  readonly onProblem?: (fault: Fault, record?: Recorded) => void;
  /** Told after each commit: events that others said and that were taken in, and all that was appended. Each once, in order. Must not throw. */
  readonly onCommitted?: (taken: readonly DatsEvent[], outputs: readonly Outgoing[]) => void;
}

/** Wait between two tries of a commit, in milliseconds: doubles up to the second. */
const COMMIT_RETRY_MS = { first: 50, max: 2_000 } as const;

const load = async (assignment: Assignment, run: DeciderRun): Promise<Fold> => {
  const saved: [string, string][] = [];
  for await (const [key, bytes] of assignment.states()) saved.push([key, Buffer.from(bytes).toString('utf8')]);
  return openFold(run.deciders, saved, { ...run, topic: assignment.topic });
};

/** Runs until the partition is revoked. @throws Fault fatal when the store cannot go on. */
export const runDeciders = async (assignment: Assignment, run: DeciderRun): Promise<void> => {
  let fold = await load(assignment, run);
  let next = assignment.committed;
  const over = new AbortController();
  const batches = assignment.records({ maxBatch: run.maxBatch ?? 2048, signal: over.signal })[Symbol.asyncIterator]();
  const steps = race(batches, run.now);
  try {
    for (;;) {
      const step = await steps.next(fold.nextDue());
      if (step.kind === 'end') return;
      if (step.kind === 'records') await asKnownTo(run, step.records, assignment.revoked);
      const arriving = await arrivingIn(run, step, assignment.revoked);
      let outputs: Outgoing[];
      const taken: DatsEvent[] = [];
      try {
        outputs = outputsOf(fold, step, next, run, taken, arriving);
      } catch (error) {
        if (step.kind !== 'records') throw error;
        // A decider threw: its state may be half changed. Start from the committed state and go record by record.
        run.onProblem?.(toFault(error));
        fold = await oneByOne(assignment, run, step.records);
        next = step.records.at(-1)!.offset + 1;
        continue;
      }
      if (step.kind === 'records') next = step.records.at(-1)!.offset + 1;
      const changes = fold.changes();
      // Somebody only looked: there is nothing to write down.
      if (step.kind === 'due' && outputs.length + changes.size === 0 && (fold.nextDue() ?? step.now + 1) > step.now) continue;
      await commit(assignment, run, outputs, changes, next);
      run.onCommitted?.(taken, outputs);
    }
  } catch (error) {
    if (isFault(error, 'fenced') || (assignment.revoked.aborted && !isFault(error, 'fatal'))) return;
    throw error;
  } finally {
    steps.stop();
    // A read that waits for a record would hold up the return.
    over.abort();
    await batches.return?.();
  }
};

type Arriving = ReadonlyMap<number, Arrival>;

/** By the offsets of their last words. */
const arrivingIn = async ({ arrivals = noArrivals, onProblem }: DeciderRun, step: Step, signal: AbortSignal): Promise<Arriving> => {
  const found = new Map<number, Arrival>();
  if (arrivals === noArrivals || step.kind !== 'records') return found;
  for (const record of step.records) {
    let read: { readonly arrival: Arrival | undefined } | undefined;
    const act = async (): Promise<void> => {
      read = { arrival: await arrivals.of(record, signal) };
    };
    await untilDone(act, { revoked: signal, onTrouble: (fault) => onProblem?.(fault, record) });
    // Given up: committed without it, the project would be nowhere.
    if (read === undefined) throw signal.reason;
    if (read.arrival !== undefined) found.set(record.offset, read.arrival);
  }
  return found;
};

/** R4. */
const asKnownTo = async ({ known }: DeciderRun, records: readonly Recorded[], signal: AbortSignal): Promise<void> => {
  if (known === undefined) return;
  let last: string | undefined;
  for (const record of records) {
    const { configversion } = record.headers;
    // Another node counts changes of its own.
    if (isCopy(record)) continue;
    if (configversion === undefined || configversion === last) continue;
    last = configversion;
    await known(configversion, signal);
  }
};

/** @param taken gets the events of others that were taken in */
const outputsOf = (
  fold: Fold,
  step: Exclude<Step, { kind: 'end' }>,
  next: number,
  run: DeciderRun,
  taken: DatsEvent[],
  arriving: Arriving,
): Outgoing[] => {
  if (step.kind === 'due') return fold.tick(step.now, next - 1).map((said) => outgoing(said.topic, said.event, said.key));
  const outputs: Outgoing[] = [];
  for (const record of step.records) {
    // Only what is known may be passed over unread: an unknown type is a dead letter.
    if (!fold.consumes.has(record.type) && Object.hasOwn(EVENTS, record.type)) continue;
    if (isCopy(record)) {
      const arrival = arriving.get(record.offset);
      if (arrival === undefined) continue;
      for (const said of fold.takeOver(arrival)) outputs.push(outgoing(said.topic, said.event, said.key));
      continue;
    }
    let event: ReturnType<typeof eventOf>;
    try {
      event = eventOf(record);
    } catch (error) {
      run.onProblem?.(toFault(error), record);
      outputs.push(...letters(record, toFault(error), run));
      continue;
    }
    if (event.source !== run.source) taken.push(event);
    for (const said of fold.take(event, record.offset)) outputs.push(outgoing(said.topic, said.event, said.key));
  }
  return outputs;
};

const letters = (record: Recorded, fault: Fault, run: DeciderRun): readonly Outgoing[] => {
  const now = run.now();
  const failure = { group: run.group, fault, attempts: 1, firstFailedAt: now, failedAt: now };
  return [deadLetter(record, failure), deadLetterAlert(record, failure)];
};

/** Record by record from the committed state: whoever makes a decider throw becomes a dead letter, the others are decided as ever. */
const oneByOne = async (assignment: Assignment, run: DeciderRun, records: readonly Recorded[]): Promise<Fold> => {
  let fold = await load(assignment, run);
  for (const record of records) {
    const next = record.offset + 1;
    let outputs: Outgoing[];
    const taken: DatsEvent[] = [];
    const step = { kind: 'records', records: [record] } as const;
    const arriving = await arrivingIn(run, step, assignment.revoked);
    try {
      outputs = outputsOf(fold, step, record.offset, run, taken, arriving);
    } catch (error) {
      const fault = new Fault(
        'terminal',
        'decider_failed',
        `a decider of ${run.group} threw on a ${record.type}: ${toFault(error).message}`,
        { cause: error },
      );
      run.onProblem?.(fault, record);
      fold = await load(assignment, run);
      outputs = [...letters(record, fault, run)];
      taken.length = 0;
    }
    await commit(assignment, run, outputs, fold.changes(), next);
    run.onCommitted?.(taken, outputs);
  }
  return fold;
};

/** @throws Fault fenced or fatal; retryable only when the partition was revoked meanwhile. */
const commit = async (
  assignment: Assignment,
  run: DeciderRun,
  outputs: readonly Outgoing[],
  states: Commit['states'],
  next: number,
): Promise<void> => {
  for (let wait: number = COMMIT_RETRY_MS.first; ; wait = Math.min(wait * 2, COMMIT_RETRY_MS.max)) {
    try {
      await assignment.commit({ next, outputs, states });
      return;
    } catch (error) {
      if (isFault(error, 'terminal')) throw new Fault('fatal', error.code, error.message, { cause: error });
      if (!isFault(error, 'retryable') || assignment.revoked.aborted) throw error;
      run.onProblem?.(error);
      await pause(wait, assignment.revoked);
    }
  }
};
