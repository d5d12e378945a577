// Who may ask the ledger. Where a project, a user or an agent was refused for now, only few of its tasks ask again, not all that wait.
//
// G1. A closed gate opens by itself: its holder, the task that was refused last, waits with a timer; and somebody who asks will be answered. Whoever of them ends
// opens it. G2. After a refusal one asks; with every grant twice as many at a time, until the gate is gone: so a queue of any length costs a few requests a grant.
// G3. Where something was waited for that a settlement gives back, a settlement that is decided here opens the gate at once.
import type { QuotaBlocked } from '../../schemas/index.js';
import { keyOf, subjectsOf, type Whose } from '../quota/index.js';
import { enter, type OpenTask, type SchedulingState } from './state.js';

export interface Gate {
  readonly limit: QuotaBlocked['limit'];
  /** Nobody asks before; milliseconds since the epoch. */
  readonly until: number;
  readonly holder?: string;
  /** So many may ask at a time. */
  readonly window: number;
  /** Tasks whose answers are awaited. */
  readonly asking: readonly string[];
}

/** A gate that lets so many through at a time is none. */
const WIDE = 32;

export const AGENT = 'generate';
export const whoseOf = ({ project, user }: OpenTask): Whose => ({ project, user, agent: AGENT });

const put = (state: SchedulingState, key: string, gate: Gate | undefined): void => {
  if (gate === undefined) state.gates.delete(key);
  else state.gates.set(key, gate);
  state.dirty.add(`g/${key}`);
};

const gatesOf = (state: SchedulingState, task: OpenTask): readonly (readonly [string, Gate])[] =>
  state.gates.size === 0
    ? []
    : subjectsOf(whoseOf(task)).flatMap((subject) => {
        const key = keyOf(subject);
        const gate = state.gates.get(key);
        return gate === undefined ? [] : [[key, gate] as const];
      });

const without = (gate: Gate, id: string): Gate => {
  const { holder, ...rest } = gate;
  const asking = gate.asking.filter((one) => one !== id);
  return holder === id ? { ...rest, asking, until: 0 } : { ...gate, asking };
};

/** The ledger is asked for its attempt. */
export const asked = (state: SchedulingState, task: OpenTask, reservation: string): void => {
  enter(state, task, 'reserving');
  task.reservation = reservation;
  task.asks = (task.asks ?? 0) + 1;
  for (const [key, gate] of gatesOf(state, task)) {
    const rest = without(gate, task.id);
    put(state, key, gate.window > WIDE ? undefined : { ...rest, asking: [...rest.asking, task.id] });
  }
};

/** It got what it asked for. */
export const granted = (state: SchedulingState, task: OpenTask): void => {
  for (const [key, gate] of gatesOf(state, task)) {
    const wider = gate.asking.includes(task.id) ? gate.window * 2 : gate.window;
    put(state, key, { ...without(gate, task.id), window: wider });
  }
};

/** Not now: it waits, first among those of its priority, and asks again at `retryMs`. */
export const refused = (state: SchedulingState, task: OpenTask, { subject, limit }: QuotaBlocked, retryMs: number): void => {
  ended(state, task);
  task.askAgainMs = retryMs;
  enter(state, task, 'queued');
  if (subject.kind === 'task') return;
  const key = keyOf({ kind: subject.kind, id: subject.id });
  put(state, key, { limit, until: retryMs, holder: task.id, window: 1, asking: state.gates.get(key)?.asking ?? [] });
};

/** It neither asks nor waits to ask any more. */
export const ended = (state: SchedulingState, task: OpenTask): void => {
  for (const [key, gate] of gatesOf(state, task))
    if (gate.holder === task.id || gate.asking.includes(task.id)) put(state, key, without(gate, task.id));
};

/** What was set aside for it is settled (G3). */
export const released = (state: SchedulingState, task: OpenTask): void => {
  for (const [key, gate] of gatesOf(state, task)) if (gate.limit !== 'requests_per_minute') put(state, key, { ...gate, until: 0 });
};

/** May it ask now? @param given counts what this decision has let through already, beside the places of projects */
export const mayAsk = (state: SchedulingState, task: OpenTask, now: number, given: Map<string, number>): boolean => {
  const gates = gatesOf(state, task);
  const taken = (key: string): number => given.get(`gate ${key}`) ?? 0;
  if (gates.some(([key, { until, window, asking }]) => until > now || asking.length + taken(key) >= window)) return false;
  for (const [key] of gates) given.set(`gate ${key}`, taken(key) + 1);
  return true;
};

/** Projects whose queues a change of gates may have opened. */
export const reopened = (state: SchedulingState, project: string): readonly string[] => {
  if (state.gates.size === 0) return [];
  for (const key of state.gates.keys()) if (!key.startsWith('project/')) return [...state.projects.keys()];
  return [project];
};
