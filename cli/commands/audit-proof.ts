// `dats audit prove` and `check`: a small document that proves single events, or all that made an artifact, to whoever knows the key; and what one is worth.
//
// F1. A file is written whole or not at all. F2. What was read is compared, not a copy of it: a copy may lose names, and with them the leaf.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openNote, parseCheckpoint, refuteProof } from '../../processors/audit/index.js';
import { type AuditProof, auditProofSchema, isFault, parsePosition } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import { keyLine, oneLine, plural, proofLines } from '../render/index.js';
import type { Action, Session } from '../session.js';
import { checkedKey, judged, type TrustedKey, trustedKey } from './audit-key.js';
import { isPath } from './options.js';
import { writeWhole } from './out-file.js';
import { artifactOf } from './standing.js';

/** An id may be that of an event or of an artifact: the log knows which. */
const proofOf = async (client: DatsClient, what: string, project: string | undefined, signal: AbortSignal): Promise<AuditProof> => {
  const position = parsePosition(what);
  if (position !== undefined) return client.auditProof({ offset: position.offset, project_id: project }, { signal });
  const ofArtifact = (id: string) => client.auditProof({ artifact_id: id, project_id: project }, { signal });
  if (isPath(what)) return ofArtifact(await artifactOf(client, what, project, signal));
  try {
    return await client.auditProof({ event_id: what, project_id: project }, { signal });
  } catch (error) {
    if (!isFault(error) || error.code !== 'event_not_found') throw error;
    return ofArtifact(what);
  }
};

export const prove: Action = async (session, [what], options) => {
  const { project, out } = options as Readonly<Record<string, string | undefined>>;
  if (parsePosition(what!) !== undefined && project === undefined)
    throw badUsage(`${what} is a place in the log: say with --project whose event stands there`);
  const proof = await judged(withServer(session, LOOKING, (client) => proofOf(client, what!, project, session.io.signal)));
  const text = `${JSON.stringify(proof, null, 2)}\n`;
  if (out === undefined) session.io.out(session.json ? `${JSON.stringify(proof)}\n` : text);
  else {
    await writeWhole(session.path(out), text);
    session.data({ file: session.path(out), project_id: proof.project_id, events: proof.events.length });
    session.say(`written ${out}: proves ${plural(proof.events.length, 'event')} of project ${oneLine(proof.project_id)}`);
    session.note(`check it with: dats audit check ${out} --key <the key that you trust>`);
  }
  return EXIT.ok;
};

const readProof = (session: Session, file: string): AuditProof => {
  const text = session.read(file);
  let proof: AuditProof;
  try {
    proof = JSON.parse(text) as AuditProof;
  } catch (cause) {
    throw badUsage(`${file} is not JSON`, cause);
  }
  const checked = auditProofSchema.safeParse(proof);
  if (checked.success) return proof;
  const [first] = checked.error.issues;
  throw badUsage(`${file} is no proof: ${first!.path.join('.')}: ${first!.message}`, checked.error);
};

/** The key that was given; else that of the server, or of the data folder. */
const keyFor = async (session: Session, given: string | undefined): Promise<TrustedKey & { readonly from: string }> => {
  if (given !== undefined) return { ...trustedKey(session, given), from: 'given with --key' };
  const vkey = await judged(withServer(session, LOOKING, (client) => client.auditKey({ signal: session.io.signal })));
  return { ...checkedKey(vkey, badUsage), from: 'the keeper’s own; with --key you give the one that you trust' };
};

interface MadeArtifact {
  readonly artifact_id?: unknown;
  readonly path?: unknown;
  readonly sha256?: unknown;
}

/** What the proven events say of the artifact of the proof. */
const madeBy = ({ events, artifact_id }: AuditProof): MadeArtifact | undefined => {
  for (const { data } of events) {
    const artifacts = (data as { readonly artifacts?: unknown } | null | undefined)?.artifacts;
    if (artifact_id === undefined || !Array.isArray(artifacts)) continue;
    const made = (artifacts as readonly (MadeArtifact | null)[]).find((one) => one?.artifact_id === artifact_id);
    if (made) return made;
  }
  return undefined;
};

/** Why a file is not the artifact that is proven; undefined where it is. */
const refuteFile = (session: Session, proof: AuditProof, name: string): string | undefined => {
  if (proof.artifact_id === undefined) throw badUsage('the proof is of no artifact: there is nothing to compare --artifact with');
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(session.path(name));
  } catch (cause) {
    throw badUsage(`cannot read ${name}: ${(cause as NodeJS.ErrnoException).code}; check the path`, cause);
  }
  const isSame = createHash('sha256').update(bytes).digest('hex') === madeBy(proof)?.sha256;
  return isSame ? undefined : `${name} has other bytes than the artifact that was made`;
};

export const check: Action = async (session, [file], options) => {
  const { key: given, artifact } = options as Readonly<Record<string, string | undefined>>;
  const proof = readProof(session, file!);
  const { from, ...key } = await keyFor(session, given);
  const why = refuteProof(proof, key.vkey) ?? (artifact === undefined ? undefined : refuteFile(session, proof, artifact));
  session.data({
    ok: why === undefined,
    ...(why === undefined ? {} : { why }),
    project_id: proof.project_id,
    events: proof.events.map(({ offset, leaf, headers }) => ({ offset, leaf, event_id: headers.id, type: headers.type })),
    vkey: key.vkey,
    key_from: from,
  });
  if (why === undefined) {
    const { origin, size } = parseCheckpoint(openNote(proof.checkpoint, key)!)!;
    session.say(...proofLines(proof, origin, size, session.colours));
    const made = madeBy(proof);
    if (made !== undefined) session.say(`artifact ${oneLine(String(made.path))}  sha256:${oneLine(String(made.sha256))}`);
    if (artifact !== undefined) session.say(`${artifact} is that artifact`);
  } else session.say(session.colours.red(`NOT PROVEN  ${oneLine(why)}`));
  session.say(keyLine(key.vkey, from));
  return why === undefined ? EXIT.ok : EXIT.failed;
};
