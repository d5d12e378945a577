// Runs effects over one owned partition of a work topic.
//
// W1. A work item's outcome is recorded once, in the commit that marks the item done. W2. An effect that fails for good says so on the log
// (`dats.task.attempt.failed`), so that scheduling decides; only what is no work item at all becomes a dead letter.
// W3. What ended meanwhile is not begun, and is stopped when it runs. W4. What a model says while it generates goes to live watchers, numbered so that
// a later run of the same attempt, here or in another process, never repeats a number; the speech ends with its run, however that ends. W5. Work is done
// under no older settings than it was asked for under.
import {
  type DataOf,
  type DatsEvent,
  derivedId,
  type EventOf,
  Fault,
  LIFECYCLE,
  partitionOf,
  type Topic,
  toFault,
  type Work,
} from '../../schemas/index.js';
import { type Assignment, eventOf, type Log, type Outgoing, outgoing, pause } from '../../streams/index.js';
import { backoffMs, consumeWork, type RetryPolicy, type Slots, type WorkContext, type WorkEvent } from '../../streams/runtime/index.js';
import { type Draft, say } from '../draft.js';
import { type Effect, type EffectContext, type EffectPorts, SEQS_PER_RUN, type Speak, type Speech } from '../effect.js';
import { isoOf, millisOf } from '../iso-time.js';
import type { Interrupts } from './interrupts.js';
import { stamp } from './stamp.js';

export interface EffectRun {
  readonly group: string;
  readonly effects: readonly Effect[];
  readonly ports: EffectPorts;
  readonly log: Log;
  readonly slots: Slots;
  readonly interrupts: Interrupts;
  readonly node: string;
  readonly worker: string;
  /** What is in force now. */
  readonly configVersion: () => string;
  /** Waits until what is in force here is no older than the version that an event names; undefined: it is. Absent: nothing ever changes. */
  readonly known?: (configversion: string, signal: AbortSignal) => Promise<void> | undefined;
  readonly now: () => number;
  /** Model calls made for a task since the last call: recorded with its outcome. */
  readonly takeCalls: (taskId: string) => readonly Draft[];
  /** Where the text of work of kind `generate` goes while it is said. */
  readonly speak: Speak;
  readonly drainMs?: number;
  readonly onEvent?: (event: WorkEvent) => void;
}

/** Tries of an effect that fails for infrastructure's sake, before its attempt is given up. */
export const EFFECT_RETRY: RetryPolicy = { maxAttempts: 4, baseMs: 200, maxMs: 5_000 };
/** Runs that one owner of a partition may make of a work item; above `EFFECT_RETRY.maxAttempts`. */
const RUNS_PER_OWNER = 8;

type WorkEventRecord = EventOf<'dats.work.requested'>;
/** Of work that an attempt of a task is made of; other kinds say by themselves what it means that they failed. */
const STAGES: Readonly<Partial<Record<Work['kind'], DataOf<'dats.task.attempt.failed'>['stage']>>> = {
  analyse: 'analysis',
  decompose: 'decomposition',
  generate: 'generation',
  check: 'qa',
};

export const runEffects = (assignment: Assignment, run: EffectRun): Promise<void> => {
  const byKind = new Map(run.effects.flatMap((effect) => effect.kinds.map((kind) => [kind, effect] as const)));
  return consumeWork(assignment, {
    group: run.group,
    concurrency: run.slots,
    ordering: 'none',
    retry: EFFECT_RETRY,
    ...(run.drainMs === undefined ? {} : { drainMs: run.drainMs }),
    ...(run.onEvent === undefined ? {} : { onEvent: run.onEvent }),
    run: (record, context) => {
      const work: DatsEvent = eventOf(record);
      if (work.type !== 'dats.work.requested') throw new Fault('terminal', 'not_work', `a ${work.type} is not a work item`);
      const effect = byKind.get(work.data.kind);
      if (!effect) throw new Fault('terminal', 'no_effect', `nothing here does work of kind "${work.data.kind}"`);
      return runOne(effect, work, context, run);
    },
  });
};

const runOne = async (effect: Effect, work: WorkEventRecord, context: WorkContext, run: EffectRun): Promise<readonly Outgoing[]> => {
  const { task_id, attempt, kind } = work.data;
  const record = (drafts: readonly Draft[]): readonly Outgoing[] => drafts.map((draft, i) => toRecord(draft, i, effect, work, run));
  if (millisOf(work.data.due) <= run.now()) {
    const fault = new Fault('terminal', 'overdue', `it was to be begun by ${work.data.due}, and nobody did`);
    // Of an attempt scheduling knows by itself that it timed out.
    return record(effect.givenUp?.(work, fault) ?? []);
  }
  let unwanted = false;
  const ended = run.interrupts.begin(effect.concerns?.(work) ?? task_id, attempt, (reason) => {
    unwanted = true;
    context.cancel(reason);
  });
  if (!ended) return [];
  const speech = kind === 'generate' ? run.speak(task_id, attempt, firstSeqOf(context)) : undefined;
  try {
    await run.known?.(work.configversion, context.signal);
    const drafts = await effect.run(work, run.ports, contextOf(work, context, { run, record, speech }));
    return record([...drafts, ...run.takeCalls(task_id)]);
  } catch (error) {
    if (unwanted) return record(run.takeCalls(task_id));
    if (context.signal.aborted) throw context.signal.reason;
    const fault = toFault(error);
    if (fault.kind === 'fenced' || fault.kind === 'fatal' || (fault.kind === 'retryable' && context.attempt < EFFECT_RETRY.maxAttempts))
      throw fault;
    return record([...givenUp(effect, work, fault), ...run.takeCalls(task_id)]);
  } finally {
    ended();
    speech?.end();
  }
};

/** Rises with every change of owner, and with every run that an owner makes (W4). */
const firstSeqOf = ({ epoch, attempt }: WorkContext): number => (epoch * RUNS_PER_OWNER + attempt) * SEQS_PER_RUN;

interface Running {
  readonly run: EffectRun;
  readonly record: (drafts: readonly Draft[]) => readonly Outgoing[];
  readonly speech: Speech | undefined;
}

const contextOf = (work: WorkEventRecord, context: WorkContext, { run, record, speech }: Running): EffectContext => ({
  get signal() {
    return context.signal;
  },
  eventAt: (offset) => eventAt(run.log, work.projectid, offset, context.signal),
  emit: (early) => context.emit(record(early)),
  onText: (text) => speech?.say(text),
  onRestart: () => speech?.restart(),
  node: run.node,
  worker: run.worker,
  fence: `${context.epoch}-${context.attempt}`,
});

const givenUp = (effect: Effect, work: WorkEventRecord, fault: Fault): readonly Draft[] => {
  const { kind, task_id, attempt } = work.data;
  if (effect.givenUp !== undefined) return effect.givenUp(work, fault);
  const error = { code: fault.code, message: fault.message, retryable: fault.kind === 'retryable' };
  return [
    say(
      'dats.task.attempt.failed',
      task_id,
      { task_id, attempt, stage: STAGES[kind] ?? 'generation', error },
      derivedId(task_id, kind, attempt),
    ),
  ];
};

const toRecord = (draft: Draft, index: number, effect: Effect, work: WorkEventRecord, run: EffectRun): Outgoing => {
  const by = {
    source: `/effects/${effect.name}`,
    actor: run.worker,
    configversion: run.configVersion(),
    time: isoOf(run.now()),
    cause: work,
    afteroffset: undefined,
  };
  const event = stamp(draft, by, draft.id ?? derivedId(work.id, effect.name, index));
  return outgoing(draft.topic, event, draft.key ?? event.projectid);
};

/** Waits between two questions to a log that is away, in milliseconds. */
const ASK_AGAIN = { baseMs: 100, maxMs: 2_000 };

/**
 * The lifecycle event at an offset of a project's partition. A log that is away is waited for, until `signal` aborts: the task is not to blame.
 * @throws Fault terminal `event_missing`; retryable when the signal aborted first.
 */
const eventAt = async (log: Log, project: string, offset: number, signal: AbortSignal): Promise<DatsEvent> => {
  const partition = partitionOf(project, log.partitions(LIFECYCLE));
  for (let attempt = 1; ; attempt++) {
    try {
      return await eventNow(log, partition, offset);
    } catch (error) {
      if (toFault(error).kind !== 'retryable' || signal.aborted) throw error;
      await pause(backoffMs(attempt, ASK_AGAIN, Math.random), signal);
    }
  }
};

const eventNow = async (log: Log, partition: number, offset: number): Promise<DatsEvent> => {
  const record = await log.get({ topic: LIFECYCLE satisfies Topic, partition, offset });
  if (!record) throw new Fault('terminal', 'event_missing', `the log has no event at ${LIFECYCLE} p${partition}-${offset}`);
  return eventOf(record);
};
