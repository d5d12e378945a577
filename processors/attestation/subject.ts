// What a statement is about: one version of one file.
import { type Artifact, type Resource, STATEMENT_TYPE, type Statement } from '../../schemas/index.js';
import { urn } from './names.js';
import { isClean, type Standing } from './standing.js';

/** Under this name a subject says that it was known to be bad, or not known to be good, when the statement was signed. Nothing stands there otherwise. */
export const STANDING_ANNOTATION = 'urn:dats:standing';

const warning = ({ mark, taken_back, markings }: Standing) => ({
  mark,
  takenBack: taken_back,
  said: markings.map(({ kind, by, reason, time, offset }) => ({ kind, by, time, offset, ...(reason === undefined ? {} : { reason }) })),
});

export const statementAbout = (
  { artifact_id, path, sha256 }: Pick<Artifact, 'artifact_id' | 'path' | 'sha256'>,
  standing: Standing,
  predicateType: string,
  predicate: Record<string, unknown>,
): Statement => {
  const subject: Resource & { digest: { sha256: string } } = { name: path, uri: urn('artifact', artifact_id), digest: { sha256 } };
  if (!isClean(standing)) subject.annotations = { [STANDING_ANNOTATION]: warning(standing) };
  return { _type: STATEMENT_TYPE, subject: [subject], predicateType, predicate };
};
