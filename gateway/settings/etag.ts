// Conditional requests (RFC 9110, 13): the version of a setting is its entity tag.
import { refuse } from '../problem.js';

export const etagOf = (version: number | string): string => `"${version}"`;

/** Versions that a change may be made from; `any`: whatever is there. */
export type Expected = ReadonlySet<number> | 'any';

const TAG = /^(W\/)?"([^"]*)"$/;

/** What If-Match says; without it, whatever is there. Weak tags, and tags that are no versions, match nothing. @throws Fault `invalid_parameter` where it is no list of entity tags */
export const optionalExpected = (header: string | null): Expected => {
  const text = header?.trim() ?? '*';
  if (text === '*') return 'any';
  const versions = new Set<number>();
  for (const part of text.split(',')) {
    const tag = TAG.exec(part.trim());
    if (tag === null)
      throw refuse(
        'invalid_parameter',
        `If-Match "${text.slice(0, 80)}" is neither * nor a list of entity tags such as "3", in quotation marks`,
      );
    if (tag[1] === undefined && /^\d{1,15}$/.test(tag[2]!)) versions.add(Number(tag[2]));
  }
  return versions;
};

/** The same where it must be there. @throws Fault `precondition_required` */
export const expectedIn = (header: string | null): Expected => {
  if (header !== null) return optionalExpected(header);
  throw refuse(
    'precondition_required',
    'a change needs If-Match with the version that it was made from, as GET says it in ETag, or * for whatever is there',
  );
};
