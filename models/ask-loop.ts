// The loop of one ask: choose, probe, wait for a slot, call, and go on to the next model where that failed. The same for answers and for vectors.
//
// G1. For one ask each model is called at most once, and MOST_CALLS_PER_ASK in all, a second call beside a slow one included; retrying later is scheduling's.
// G2. `model_rejected` is never passed on to another model: the request itself is wrong. `model_context` only to one with a longer context.
// G3. When nothing is left the last call's fault is thrown; where none was made, the fault says of each model why.
// G4. An abort ends an ask wherever it stands (probe, queue, pause, load, stream) with the signal's reason, and is not held against the model.
// G5. Where only models are left that asked to wait and were not called yet, an ask waits for them itself, LONGEST_PAUSE_MS in all; longer waits are scheduling's.
// G6. What does not fit into the allowance is not called, and ends the ask.
import { type Decision, type Fault, isFault, type ModelCall } from '../schemas/index.js';
import { orAborted } from './abortable.js';
import type { Price } from './accounting.js';
import { JITTER, type Pass } from './breaker.js';
import type { Asked } from './candidates.js';
import type { Availability } from './choose.js';
import type { Clock } from './clock.js';
import type { Asking } from './gateway.js';
import { BEATEN, type Run, race } from './hedge.js';
import type { ModelLine } from './model-line.js';
import type { Place } from './residency.js';
import { openSpending, type Spending, type Stake } from './spending.js';

/** Models that are called for one ask before it fails. */
export const MOST_CALLS_PER_ASK = 4;
/** How long one ask waits for models that asked to wait, all its pauses together, before jitter. */
export const LONGEST_PAUSE_MS = 5_000;

export interface LoopDeps {
  readonly lines: ReadonlyMap<string, ModelLine>;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  choose(asked: Asked): Decision;
  priceOf(id: string): Price | undefined;
  placeOf(id: string): Place | undefined;
  /** May a slow call have a second one beside it now? */
  hedges(): boolean;
  /** Waits; rejects when the signal aborts or the gateway closes. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  /** A call ended, and left this record. */
  record(call: ModelCall, line: ModelLine, asking: Asking): void;
  /** What an ask fails with that no model is left for. */
  noModel(asking: Asking, decision: Decision): Fault;
}

/** One call as it is to be made. */
export interface Turn {
  readonly line: ModelLine;
  readonly price: Price | undefined;
  /** The answer is cut to so many tokens. */
  readonly answer_tokens: number;
  readonly decision: Decision;
  readonly hedge: boolean;
  /** Is it in memory? Undefined: nobody knows. */
  readonly loaded: boolean | undefined;
  readonly signal: AbortSignal;
  /** To be called when the first piece of the answer comes; absent where nobody waits for it. */
  readonly onFirst: (() => void) | undefined;
  readonly onCall: (call: ModelCall) => void;
}

/** What is asked for. */
export interface Wanted<T> {
  readonly asking: Asking;
  /** Estimate of what is sent. */
  readonly prompt_tokens: number;
  /** The prompt must fit into the context of the model. */
  readonly whole_prompt: boolean;
  /** How long the answer of a model may be, tokens. */
  answerTokens(line: ModelLine): number;
  /** Leaves exactly one record, by `onCall`. */
  call(turn: Turn): Promise<T>;
}

/** Where one ask stands. */
interface Course<T> extends Asked {
  readonly wanted: Wanted<T>;
  readonly signal: AbortSignal;
  readonly tried: Map<string, Availability>;
  readonly spending: Spending;
  beyond_context: number;
  calls: number;
  paused_ms: number;
  last: Fault | undefined;
}

/** A call that may be made: its slot is taken, the breaker lets it pass, what it may use is set aside. */
interface Contender {
  readonly line: ModelLine;
  readonly pass: Pass;
  readonly stake: Stake;
  readonly price: Price | undefined;
  readonly decision: Decision;
  readonly hedge: boolean;
}

/** Answers that show a living model which will not answer this ask. */
const DECLINED: ReadonlySet<string> = new Set(['model_overloaded', 'model_refused', 'model_context']);
/** Signs that a server or a model is gone: worth a look at once. */
const GONE: ReadonlySet<string> = new Set(['model_unreachable', 'model_missing']);
/** What says nothing against the model's availability. */
const ALIVE: ReadonlySet<string> = new Set(['model_overloaded', 'model_refused', 'model_context', 'model_rejected']);

/** G5. @returns whether it is worth choosing again */
const outlasted = async <T>(deps: LoopDeps, course: Course<T>, decision: Decision): Promise<boolean> => {
  let ms = Number.POSITIVE_INFINITY;
  for (const { id, verdict } of decision.candidates) {
    const line = deps.lines.get(id)!;
    if (verdict === 'waiting' && !course.tried.has(id) && line.breaker.held) ms = Math.min(ms, line.breaker.readyInMs());
  }
  if (course.paused_ms + ms > LONGEST_PAUSE_MS) return false;
  course.paused_ms += ms;
  await deps.pause(ms * (1 + JITTER * deps.random()), course.signal);
  return true;
};

/** The line holds a slot for it. @returns undefined, the slot given back, where the model must not be called now. @throws Fault (G6) */
const enter = <T>(deps: LoopDeps, course: Course<T>, line: ModelLine, decision: Decision, hedge: boolean): Contender | undefined => {
  const { id } = line.config;
  const pass = line.availability() === 'down' ? undefined : line.breaker.begin();
  // It went down, began to cool, or asked to wait while this ask stood in its queue. The last it may outlast (G5).
  if (pass === undefined) {
    line.slots.give();
    if (!line.breaker.held) course.tried.set(id, line.availability());
    return undefined;
  }
  const price = deps.priceOf(id);
  try {
    const { prompt_tokens, wanted } = course;
    const stake = course.spending.take({ model: id, price, prompt_tokens, answer_tokens: wanted.answerTokens(line) });
    course.calls += 1;
    // Until it failed: then it is not called again, and is not replaced by a fallback while it runs.
    course.tried.set(id, 'waiting');
    line.called();
    return { line, pass, stake, price, decision, hedge };
  } catch (error) {
    line.breaker.settle(pass, 'left');
    line.slots.give();
    throw error;
  }
};

const failed = <T>(deps: LoopDeps, course: Course<T>, { line, pass }: Contender, error: unknown, signal: AbortSignal): void => {
  const { id, context_tokens } = line.config;
  const fault = !signal.aborted && isFault(error) ? error : undefined;
  line.breaker.settle(pass, fault === undefined ? 'left' : ALIVE.has(fault.code) ? 'ok' : 'failed');
  if (fault === undefined) return;
  course.last = fault;
  course.tried.set(id, DECLINED.has(fault.code) ? 'declined' : 'failed');
  if (fault.code === 'model_overloaded') line.overloaded(fault.retryAfterMs);
  else if (fault.code === 'model_context') course.beyond_context = Math.max(course.beyond_context, context_tokens);
  else if (GONE.has(fault.code)) {
    deps.placeOf(id)?.lost();
    if (!line.runner.scripted) void line.probe();
  }
};

const contend = async <T>(
  deps: LoopDeps,
  course: Course<T>,
  contender: Contender,
  signal: AbortSignal,
  onFirst: (() => void) | undefined,
): Promise<T> => {
  const { line, pass, stake, price, decision, hedge } = contender;
  const { wanted, spending } = course;
  let record: ModelCall | undefined;
  const onCall = (call: ModelCall): void => {
    record = call;
    deps.record(call, line, wanted.asking);
  };
  try {
    const place = deps.placeOf(line.config.id);
    const loading = place?.ready(signal);
    if (loading !== undefined) await loading;
    const { answer_tokens } = stake;
    const loaded = place?.loaded();
    const answer = await wanted.call({ line, price, answer_tokens, decision, hedge, loaded, signal, onFirst, onCall });
    line.breaker.settle(pass, 'ok');
    line.answered();
    place?.used();
    return answer;
  } catch (error) {
    // Slower than the other is known of it, and no more.
    if (error === BEATEN && record !== undefined) line.averages.addLatency(record.duration_ms);
    failed(deps, course, contender, error, signal);
    throw error;
  } finally {
    // Where the model could not even be loaded no call was made.
    if (record === undefined) spending.release(stake);
    else spending.settle(stake, record);
    line.slots.give();
  }
};

const distanceIn = (decision: Decision, id: string): number => decision.candidates.find((one) => one.id === id)!.tier_distance;

/** A second call beside a slow one: another model of the same tier that could begin at once. @throws Fault where it does not fit into the allowance */
const second = <T>(deps: LoopDeps, course: Course<T>, first: Contender): Run<T> | undefined => {
  if (course.calls >= MOST_CALLS_PER_ASK || !deps.hedges()) return undefined;
  const decision = deps.choose(course);
  const line = decision.chosen === undefined ? undefined : deps.lines.get(decision.chosen);
  if (line === undefined || line.health === undefined) return undefined;
  const { id } = line.config;
  if (distanceIn(decision, id) !== distanceIn(first.decision, first.line.config.id)) return undefined;
  if (deps.placeOf(id)?.loaded() === false || !line.slots.tryTake()) return undefined;
  const contender = enter(deps, course, line, decision, true);
  if (contender === undefined) return undefined;
  return (signal, sign) => {
    const won = (): void => {
      sign();
      if (!signal.aborted) course.wanted.asking.onDecision?.(decision);
    };
    return contend(deps, course, contender, signal, won);
  };
};

const made = <T>(deps: LoopDeps, course: Course<T>, contender: Contender): Promise<T> => {
  const { hedge_after_ms: afterMs } = contender.line.config;
  const { signal, wanted } = course;
  if (afterMs === undefined || wanted.asking.model !== undefined || !wanted.whole_prompt || !deps.hedges())
    return contend(deps, course, contender, signal, undefined);
  const first: Run<T> = (own, sign) => contend(deps, course, contender, own, sign);
  return race({ first, second: () => second(deps, course, contender), afterMs }, signal, deps.clock);
};

/** @throws Fault, or the signal's reason */
export const runAsk = async <T>(deps: LoopDeps, wanted: Wanted<T>, signal: AbortSignal): Promise<T> => {
  const { asking, prompt_tokens } = wanted;
  const course: Course<T> = {
    asking,
    wanted,
    signal,
    prompt_tokens,
    tried: new Map(),
    spending: openSpending(asking.allowance),
    beyond_context: 0,
    calls: 0,
    paused_ms: 0,
    last: undefined,
  };
  while (course.calls < MOST_CALLS_PER_ASK) {
    const decision = deps.choose(course);
    if (decision.chosen === undefined) {
      if (await outlasted(deps, course, decision)) continue;
      asking.onDecision?.(decision);
      throw course.last ?? deps.noModel(asking, decision);
    }
    const line = deps.lines.get(decision.chosen)!;
    if (line.health === undefined) {
      await orAborted(line.probe(), signal);
      continue;
    }
    if (!line.slots.tryTake() && !(await line.slots.take(signal))) {
      course.tried.set(decision.chosen, 'waiting');
      continue;
    }
    asking.onDecision?.(decision);
    const contender = enter(deps, course, line, decision, false);
    if (contender === undefined) continue;
    try {
      return await made(deps, course, contender);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!isFault(error) || error.code === 'model_rejected') throw error;
    }
  }
  throw course.last!;
};
