// Under which key a request is made, and one request at a time under a key.
import { derivedId, newId } from '../../schemas/index.js';
import { refuse } from '../problem.js';

export const KEY_HEADER = {
  'Idempotency-Key':
    '1 to 255 printable ASCII characters, quoted or not. Repeated with the same body it begins nothing anew. Scope: what is asked for, its project and `by`.',
  traceparent: 'W3C trace context to join.',
} as const;

/** The same for the same key and scope, else new. */
export const requestIdOf = (key: string | undefined, ...scope: readonly string[]): string =>
  key === undefined ? newId() : derivedId(...scope, key);

export const reused = () =>
  refuse('idempotency_key_reused', 'this Idempotency-Key was used before with another body; use a new key for another request');

/** Runs `work` when all that was begun under the same id is over. */
export type InTurn = <T>(id: string, work: () => Promise<T>) => Promise<T>;

export const createTurns = (): InTurn => {
  const last = new Map<string, Promise<unknown>>();
  return (id, work) => {
    const before = last.get(id);
    const mine = before === undefined ? work() : before.then(work, work);
    last.set(id, mine);
    const done = () => {
      if (last.get(id) === mine) last.delete(id);
    };
    mine.then(done, done);
    return mine;
  };
};
