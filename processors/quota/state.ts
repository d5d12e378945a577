// The fold of the ledger: accounts, open reservations, and what has to be remembered of those that are over.
//
// S1. A settlement counts only while its reservation is open: however often it is repeated, and however late, it counts once. S2. A request without a task
// is remembered until it has expired, and refused from then on: repeated, it opens nothing anew. One for a task needs no memory: whoever gets an answer that
// it does not wait for settles it with nothing. S3. So memory is accounts, open reservations, and the requests of one expiry.
import type { DataOf, DatsEvent, QuotaSubject } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { clearTimer, dueTimers, newTimers, nextTimer, setTimer, type Timers } from '../timers.js';
import { type Account, countIn, minus, NOTHING, newAccount, plus, type Sum, use } from './account.js';
import { keyOf, nanosOf, subjectsOf, type Whose } from './limits.js';

export interface Reservation extends Sum {
  readonly whose: Whose;
  /** Belongs to an attempt of a task. */
  readonly task?: true;
  readonly correlationid?: string;
  /** Milliseconds since the epoch; only without a task. */
  readonly expiresMs?: number;
}

export interface LedgerState {
  readonly accounts: Map<string, Account>;
  readonly open: Map<string, Reservation>;
  /** Reservations without a task that are over, until they have expired. */
  readonly over: Map<string, number>;
  readonly expiring: Timers;
  readonly forgetting: Timers;
  /** Time of the newest event, milliseconds since the epoch. */
  readonly clock: { ms: number };
  readonly dirty: Set<string>;
}

export const newState = (): LedgerState => ({
  accounts: new Map(),
  open: new Map(),
  over: new Map(),
  expiring: newTimers(),
  forgetting: newTimers(),
  clock: { ms: 0 },
  dirty: new Set(),
});

const accountOf = (state: LedgerState, subject: QuotaSubject): Account => {
  const key = keyOf(subject);
  const account = state.accounts.get(key) ?? newAccount(subject);
  state.accounts.set(key, account);
  state.dirty.add(`a/${key}`);
  return account;
};

const setAside = (state: LedgerState, id: string, reservation: Reservation): void => {
  state.open.set(id, reservation);
  if (reservation.expiresMs !== undefined) setTimer(state.expiring, id, reservation.expiresMs);
  for (const subject of subjectsOf(reservation.whose)) {
    const account = accountOf(state, subject);
    account.reserved = plus(account.reserved, reservation);
    account.open++;
  }
};

const reserved = (state: LedgerState, event: DatsEvent, data: DataOf<'dats.quota.reserved'>): void => {
  const { reservation_id: id, task_id, user, agent, tokens, cost_usd, expires } = data;
  if (state.open.has(id)) return;
  const whose: Whose = { project: event.projectid, ...(user === undefined ? {} : { user }), agent };
  const sum = { tokens, nanos: nanosOf(cost_usd) };
  const forTask = task_id !== undefined;
  const more = forTask ? { task: true as const } : { correlationid: event.correlationid };
  setAside(state, id, { whose, ...sum, ...more, ...(forTask || expires === undefined ? {} : { expiresMs: millisOf(expires) }) });
  state.dirty.add(`o/${id}`);
  for (const subject of subjectsOf(whose)) countIn(accountOf(state, subject), state.clock.ms);
};

const consumed = (state: LedgerState, { reservation_id: id, tokens, cost_usd }: DataOf<'dats.quota.consumed'>): void => {
  const reservation = state.open.get(id);
  if (reservation === undefined) return;
  state.open.delete(id);
  clearTimer(state.expiring, id);
  state.dirty.add(`o/${id}`);
  for (const subject of subjectsOf(reservation.whose)) {
    const account = accountOf(state, subject);
    account.reserved = minus(account.reserved, reservation);
    account.open--;
    use(account, { tokens, nanos: nanosOf(cost_usd) }, state.clock.ms);
  }
  if (reservation.expiresMs !== undefined) remember(state, id, reservation.expiresMs);
};

const remember = (state: LedgerState, id: string, expiresMs: number): void => {
  if (expiresMs <= state.clock.ms) return;
  state.over.set(id, expiresMs);
  setTimer(state.forgetting, id, expiresMs);
  state.dirty.add(`c/${id}`);
};

const forget = (state: LedgerState): void => {
  if ((nextTimer(state.forgetting) ?? Number.POSITIVE_INFINITY) > state.clock.ms) return;
  for (const id of dueTimers(state.forgetting, state.clock.ms)) {
    clearTimer(state.forgetting, id);
    state.over.delete(id);
    state.dirty.add(`c/${id}`);
  }
};

const reset = (state: LedgerState, { subject }: DataOf<'dats.quota.reset'>): void => {
  const account = accountOf(state, subject);
  const { reserved, open } = account;
  Object.assign(account, newAccount(subject), { reserved, open });
};

export const evolve = (state: LedgerState, event: DatsEvent): void => {
  const ms = millisOf(event.time);
  if (ms > state.clock.ms) state.clock.ms = ms;
  state.dirty.add(CLOCK);
  forget(state);
  switch (event.type) {
    case 'dats.quota.reserved':
      return reserved(state, event, event.data);
    case 'dats.quota.consumed':
      return consumed(state, event.data);
    case 'dats.quota.reset':
      return reset(state, event.data);
  }
};

const CLOCK = 'k/clock';

/** A3. */
const stored = ({ kind, id, total, month, day, recent }: Account) => ({ kind, id, total, month, day, recent });

export const changes = (state: LedgerState): ReadonlyMap<string, unknown> => {
  const entries = new Map<string, unknown>();
  for (const key of state.dirty) {
    const id = key.slice(2);
    if (key === CLOCK) entries.set(key, state.clock.ms);
    else if (key[0] === 'a') entries.set(key, stored(state.accounts.get(id)!));
    else entries.set(key, (key[0] === 'o' ? state.open : state.over).get(id) ?? null);
  }
  state.dirty.clear();
  return entries;
};

export const restore = (entries: Iterable<readonly [string, unknown]>): LedgerState => {
  const state = newState();
  const open: (readonly [string, Reservation])[] = [];
  for (const [key, value] of entries) {
    const id = key.slice(2);
    if (key === CLOCK) state.clock.ms = value as number;
    else if (key[0] === 'a') state.accounts.set(id, { ...(value as ReturnType<typeof stored>), reserved: NOTHING, open: 0 });
    else if (key[0] === 'o') open.push([id, value as Reservation]);
    else {
      state.over.set(id, value as number);
      setTimer(state.forgetting, id, value as number);
    }
  }
  for (const [id, reservation] of open) setAside(state, id, reservation);
  state.dirty.clear();
  return state;
};
