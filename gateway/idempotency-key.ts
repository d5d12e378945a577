// The Idempotency-Key of a request.
import { idempotencyKeyOf } from './commands.js';
import { refuse } from './problem.js';
import type { Call } from './table.js';

/** Undefined where none is given. @throws Fault `invalid_parameter` */
export const keyOf = ({ header }: Pick<Call, 'header'>): string | undefined => {
  const given = header('idempotency-key');
  if (given === null) return undefined;
  const key = idempotencyKeyOf(given);
  if (key === undefined)
    throw refuse('invalid_parameter', 'Idempotency-Key: must be 1 to 255 printable ASCII characters, bare or as a quoted string');
  return key;
};
