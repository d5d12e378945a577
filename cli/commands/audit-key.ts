// The key that history is verified with: the one that the user trusts, or that of whoever keeps the history.
//
// K1. Whoever can change a history can often change the key beside it. So it is always said which key was used, and whose word that was.
import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { type Verifier, verifierOf, vkeyOf } from '../../processors/audit/index.js';
import { type Fault, isFault } from '../../schemas/index.js';
import { badUsage, EXIT, exitCodeOf } from '../exit.js';
import type { Session } from '../session.js';

export interface TrustedKey extends Verifier {
  readonly vkey: string;
}

/** The vkey that was given, or that stands in the file that was. @throws Fault `bad_usage` */
export const trustedKey = (session: Session, given: string): TrustedKey => {
  const text = statSync(session.path(given), { throwIfNoEntry: false })?.isFile() ? session.read(given) : given;
  return checkedKey(text, (why) => badUsage(`--key: ${why}; give a vkey as "dats audit key" prints it, or a file that holds one`));
};

/** @throws what `fault` makes of the reason */
export const checkedKey = (text: string, fault: (why: string) => Fault): TrustedKey => {
  const vkey = text.trim();
  try {
    return { ...verifierOf(vkey), vkey };
  } catch (error) {
    throw isFault(error) ? fault(error.message) : error;
  }
};

/** The vkey of a private key's file; undefined where there is none. @throws Fault `bad_usage` for a file that is none */
export const vkeyOfFile = (path: string, name: string): string | undefined => {
  if (!existsSync(path)) return undefined;
  try {
    const { x } = createPublicKey(readFileSync(path)).export({ format: 'jwk' });
    return vkeyOf(name, Buffer.from(x!, 'base64url'));
  } catch (cause) {
    throw badUsage(`${path} holds no key; give the key that you trust with --key`, cause);
  }
};

/** Nothing could be said is another thing than tampered: 2, where an error would end with 1. */
export const judged = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    if (!isFault(error) || exitCodeOf(error) !== EXIT.failed || error.code === 'history_tampered') throw error;
    throw badUsage(error.message, error);
  }
};
