// What changes something is shown first and then asked for, or it was said beforehand with --yes.
import { badUsage } from '../exit.js';
import type { Session } from '../session.js';

/** Before anything is sent: is there somebody to ask? @throws Fault `bad_usage` where --yes is needed */
export const mayAsk = ({ io, json }: Session, yes: boolean, what: string): void => {
  if (yes) return;
  if (json || io.ask === undefined)
    throw badUsage(
      `${what} asks before it changes anything, and nobody can answer here: give --yes to do it, or --dry-run to see what it would do`,
    );
};

/** The answer of whoever sits at the terminal; true where --yes was given. */
export const confirmed = async ({ io }: Session, yes: boolean, question: string): Promise<boolean> =>
  yes || (io.ask !== undefined && /^\s*y(es)?\s*$/i.test(await io.ask(`${question} [y/N] `)));
