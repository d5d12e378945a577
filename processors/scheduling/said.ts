// What scheduling says about a task, in the task's own chain; and what it tells the ledger of an attempt.
import { type DataOf, derivedId, type EventType, isTerminal, LEDGER_KEY, QUOTA } from '../../schemas/index.js';
import { type Chain, type Draft, inChain, say, sayOn } from '../draft.js';
import { isoOf } from '../iso-time.js';
import { awaitsOutput } from './evolve.js';
import { AGENT } from './gates.js';
import { reservationIdOf, type Step, settlementOf, unknownUse } from './quota.js';
import type { OpenTask, Used } from './state.js';

/** A draft that continues the task's own chain, whatever caused it. */
export const about = <T extends EventType>(task: OpenTask, type: T, data: DataOf<T>): Draft => inChainOf(task, say(type, task.id, data));
export const inChainOf = (task: OpenTask, draft: Draft): Draft => inChain(chainOf(task), draft);
const chainOf = ({ project: projectid, correlationid, traceparent }: OpenTask): Chain =>
  traceparent === undefined ? { projectid, correlationid } : { projectid, correlationid, traceparent };

/** C1 within one step: of what is said about a task nothing follows its end. A subtask can be ended for its own sake and for its parent's at once. */
export const untilEnds = (drafts: readonly Draft[]): readonly Draft[] => {
  if (drafts.length < 2) return drafts;
  const over = new Set<string>();
  return drafts.filter(({ type, subject }) => {
    if (over.has(subject)) return false;
    if (isTerminal(type) || type === 'dats.quota.consumed') over.add(subject);
    return true;
  });
};

/** Asks the ledger for the next attempt; the task waits for the answer. */
export const ask = (task: OpenTask, { amount, least }: Extract<Step, { kind: 'ask' }>, expiresMs: number): readonly Draft[] => {
  const [id, attempt] = [reservationIdOf(task), task.attempt + 1];
  const asked: DataOf<'dats.quota.requested'> = {
    reservation_id: id,
    task_id: task.id,
    attempt,
    user: task.user,
    agent: AGENT,
    ...amount,
    least,
    expires: isoOf(expiresMs),
  };
  return [
    about(task, 'dats.task.queued', { task_id: task.id, attempt, reason: 'quota', position: 0, reservation_id: id }),
    inChainOf(task, sayOn(QUOTA, LEDGER_KEY, 'dats.quota.requested', id, asked, derivedId(id, 'requested'))),
  ];
};

/** What nobody waits for any more. */
export const giveBack = ({ reservation_id: id, task_id, attempt }: DataOf<'dats.quota.reserved'>): Draft => {
  const nothing: DataOf<'dats.quota.consumed'> = { reservation_id: id, tokens: 0, cost_usd: 0, calls: 0 };
  if (task_id !== undefined) nothing.task_id = task_id;
  if (attempt !== undefined) nothing.attempt = attempt;
  return sayOn(QUOTA, LEDGER_KEY, 'dats.quota.consumed', id, nothing, derivedId(id, 'consumed'));
};

/** The one settlement of its attempt, where something was set aside for it. */
export const settle = (task: OpenTask, used: Used, unknown = false): readonly Draft[] => {
  const id = task.reservation;
  if (id === undefined) return [];
  const said = settlementOf(task, id, used, unknown);
  return [inChainOf(task, sayOn(QUOTA, LEDGER_KEY, 'dats.quota.consumed', id, said, derivedId(id, 'consumed')))];
};

/** Of an attempt that ends, and nobody says what it used. What is still being asked for is given back when the answer comes. */
export const settleOpen = (task: OpenTask): readonly Draft[] =>
  awaitsOutput(task, task.attempt) ? settle(task, unknownUse(task), task.stage === 'running') : [];
