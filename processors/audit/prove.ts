// Proofs for outsiders: that events are in the history that was signed. Small JSON, verified with nothing but the vkey.
//
// P1. Nothing is proven that was not verified first: the checkpoint's signature, that the listed leaves lead to its root, and that each event is its leaf.
import { AUDIT_PROOF_FORMAT, type AuditCheckpoint, type AuditProof, Fault } from '../../schemas/index.js';
import { type AuditEvent, leafOfEvent } from './leaf.js';
import { openNote, originOf, parseCheckpoint, verifierOf } from './note.js';
import { inclusionProof, levelsOf, rootOfLevels, verifyInclusion } from './proof.js';

export interface ToProve {
  readonly project: string;
  /** In any order, each once. */
  readonly events: readonly AuditEvent[];
  /** All of the project, oldest first. */
  readonly checkpoints: Iterable<AuditCheckpoint> | AsyncIterable<AuditCheckpoint>;
  readonly vkey: string;
  readonly artifactId?: string | undefined;
}

const pending = (message: string) => new Fault('retryable', 'proof_pending', message);
const tampered = (message: string) => new Fault('terminal', 'history_tampered', `${message}; GET /api/v1/audit/verify names what is wrong`);

/**
 * @throws Fault retryable `proof_pending` where no checkpoint covers an event yet; terminal `history_tampered` where the history is not what was signed;
 * terminal `bad_vkey`.
 */
export const proveEvents = async ({ project, events, checkpoints, vkey, artifactId }: ToProve): Promise<AuditProof> => {
  const leaves: Buffer[] = [];
  const places = new Map<number, number>();
  let newest: AuditCheckpoint | undefined;
  for await (const checkpoint of checkpoints) {
    if (checkpoint.note === newest?.note) continue;
    for (const [offset, hash] of checkpoint.leaves) places.set(offset, leaves.push(Buffer.from(hash, 'base64')) - 1);
    newest = checkpoint;
  }
  if (newest === undefined) throw pending(`no checkpoint of ${project} is signed yet`);
  const verifier = verifierOf(vkey);
  const text = openNote(newest.note, verifier);
  const signed = text === undefined ? undefined : parseCheckpoint(text);
  if (signed?.origin !== originOf(verifier, project))
    throw tampered(`the newest checkpoint of ${project} has no valid signature of this key`);
  const levels = levelsOf(leaves);
  if (signed.size !== leaves.length || !rootOfLevels(levels).equals(signed.root))
    throw tampered(`the checkpoints of ${project} do not lead to the root that was signed`);
  const proven = [...events]
    .sort((a, b) => a.offset - b.offset)
    .map((event) => {
      const leaf = places.get(event.offset);
      if (leaf === undefined) {
        if (event.offset > newest.leaves.at(-1)![0])
          throw pending(`the event at offset ${event.offset} is newer than the newest checkpoint`);
        throw tampered(`the event at offset ${event.offset} was never signed`);
      }
      if (!leafOfEvent(event).equals(leaves[leaf]!)) throw tampered(`the event at offset ${event.offset} is not what was signed`);
      const { offset, headers, ...content } = event;
      return {
        offset,
        leaf,
        headers: { ...headers },
        ...content,
        proof: inclusionProof(levels, leaf).map((hash) => hash.toString('base64')),
      };
    });
  const artifact = artifactId === undefined ? {} : { artifact_id: artifactId };
  return { format: AUDIT_PROOF_FORMAT, project_id: project, ...artifact, checkpoint: newest.note, events: proven };
};

/** What is wrong with a proof; undefined where it proves. @throws Fault terminal `bad_vkey` */
export const refuteProof = (proof: AuditProof, vkey: string): string | undefined => {
  const verifier = verifierOf(vkey);
  const text = openNote(proof.checkpoint, verifier);
  const signed = text === undefined ? undefined : parseCheckpoint(text);
  if (signed === undefined) return `the checkpoint has no valid signature of ${verifier.name}`;
  if (signed.origin !== originOf(verifier, proof.project_id)) return `the checkpoint is of ${signed.origin}, not of ${proof.project_id}`;
  const wrong = proof.events.find((event) => {
    const path = event.proof.map((hash) => Buffer.from(hash, 'base64'));
    return event.headers.projectid !== proof.project_id || !verifyInclusion(leafOfEvent(event), event.leaf, signed.size, path, signed.root);
  });
  if (wrong !== undefined) return `the event at offset ${wrong.offset} is not leaf ${wrong.leaf} of the signed tree`;
  if (proof.artifact_id === undefined || proof.events.some((event) => makes(event, proof.artifact_id!))) return undefined;
  return `no event says that artifact ${proof.artifact_id} was made`;
};

/** The events that made an artifact. */
export const MAKING_TYPES: ReadonlySet<string> = new Set(['dats.task.output.created', 'dats.task.validated', 'dats.task.completed']);

/** Is it the event that made the artifact? */
export const makes = ({ headers, data }: AuditEvent, artifactId: string): boolean => {
  const artifacts = headers.type === 'dats.task.output.created' ? (data as { artifacts?: unknown } | undefined)?.artifacts : undefined;
  return (
    Array.isArray(artifacts) && artifacts.some((one: unknown) => (one as { artifact_id?: unknown } | null)?.artifact_id === artifactId)
  );
};

/** Is it about the attempt of which `output` is the outcome? */
export const isOfAttempt = ({ headers, data }: AuditEvent, output: AuditEvent): boolean => {
  const [mine, other] = [data, output.data] as { readonly task_id?: unknown; readonly attempt?: unknown }[];
  return MAKING_TYPES.has(headers.type ?? '') && mine?.task_id === other?.task_id && mine?.attempt === other?.attempt;
};
