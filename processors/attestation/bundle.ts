// The attestations of one artifact in one file: an in-toto bundle, one envelope a line; and what a verifier without any server makes of such a file.
//
// B1. The same artifact, standing as it does, gives the same bytes. B2. The file is not signed as a whole: each line is by itself, so a verifier asks for
// what it needs and is not fooled by what is missing. That an artifact is bad therefore stands in every statement. B3. Lines that the key did not sign, or that
// are no envelopes, are counted and passed over, as others may have added theirs; without a provenance that the key signed nothing is verified.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { dsseEnvelopeSchema, Fault, PAYLOAD_TYPE, type Statement, statementSchema } from '../../schemas/index.js';
import { envelopeOf, publicKeyOf, verifiedPayload } from './dsse.js';
import { PROVENANCE_TYPE, provenanceStatement } from './provenance-statement.js';
import type { GenerationRecord, Surroundings } from './record.js';
import type { Signer } from './signer.js';
import type { Standing } from './standing.js';
import { STANDING_ANNOTATION } from './subject.js';
import { testResultStatement } from './test-result-statement.js';

export const statementsOf = (record: GenerationRecord, around: Surroundings, standing: Standing): readonly Statement[] => {
  const tested = testResultStatement(record, standing);
  return [provenanceStatement(record, around, standing), ...(tested === undefined ? [] : [tested])];
};

/** JSON Lines, each ended by a line feed. */
export const bundleOf = (statements: readonly Statement[], signer: Signer): string =>
  statements.map((statement) => `${canonicalize(envelopeOf(statement, signer))}\n`).join('');

export interface Verified {
  /** Those that the key signed, and that are about the artifact where one was given. The first is the provenance. */
  readonly statements: readonly Statement[];
  /** Lines that are not of this key. */
  readonly foreign: number;
  /** What the statements themselves say against the artifact; empty: nothing. */
  readonly warnings: readonly unknown[];
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const statementOf = (payload: Uint8Array, line: number): Statement => {
  const statement = statementSchema.safeParse(parsed(Buffer.from(payload).toString('utf8')));
  if (!statement.success)
    throw new Fault('terminal', 'bad_statement', `line ${line} is signed, but holds no in-toto Statement v1: ${statement.error.message}`);
  return statement.data;
};

/** A file with one envelope in it, however it is spread over lines, is a bundle of one. */
const linesOf = (text: string): readonly unknown[] => {
  const whole = parsed(text);
  if (whole !== undefined) return [whole];
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parsed);
};

/**
 * Needs nothing but its arguments. @param artifact its bytes, where they are to be compared.
 * @throws Fault terminal `bad_key`, `bad_statement`, `no_attestation` (none is signed by the key), `other_artifact` (none is about these bytes).
 */
export const verifyBundle = (text: string, publicKeyPem: string, artifact?: Uint8Array): Verified => {
  const key = publicKeyOf(publicKeyPem);
  const signed: Statement[] = [];
  let foreign = 0;
  for (const [i, value] of linesOf(text).entries()) {
    const envelope = dsseEnvelopeSchema.safeParse(value);
    const payload = envelope.success ? verifiedPayload(envelope.data, key) : undefined;
    if (payload !== undefined && envelope.data!.payloadType === PAYLOAD_TYPE) signed.push(statementOf(payload, i + 1));
    else foreign++;
  }
  const provenance = signed.filter(({ predicateType }) => predicateType === PROVENANCE_TYPE);
  if (provenance.length === 0)
    throw new Fault(
      'terminal',
      'no_attestation',
      `none of ${signed.length + foreign} lines is a provenance that this key signed: it was changed, or another key signed it`,
    );
  return about([...provenance, ...signed.filter((one) => !provenance.includes(one))], foreign, artifact);
};

const about = (signed: readonly Statement[], foreign: number, artifact: Uint8Array | undefined): Verified => {
  const sha256 = artifact === undefined ? undefined : createHash('sha256').update(artifact).digest('hex');
  const statements = signed.filter(({ subject }) => sha256 === undefined || subject.some(({ digest }) => digest.sha256 === sha256));
  if (statements[0]?.predicateType !== PROVENANCE_TYPE)
    throw new Fault('terminal', 'other_artifact', `the provenance is about other bytes: the digest of the file is ${sha256}`);
  const warnings = statements.flatMap(({ subject }) => subject.flatMap(({ annotations }) => annotations?.[STANDING_ANNOTATION] ?? []));
  return { statements, foreign, warnings };
};
