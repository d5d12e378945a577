// The attestations of one accepted artifact, signed when they are asked for.
//
// A1. Only what was accepted is attested. A2. What is suspect, tainted or taken back is refused, unless it is asked for as such; then every statement says it.
import { bundleOf, isClean, type Signer, type Standing, statementsOf } from '../../processors/attestation/index.js';
import type { ArtifactView } from '../../schemas/index.js';
import { refuse } from '../problem.js';
import { findTask, type Sources } from '../reads.js';
import { readRecord, readStandings, readSurroundings } from './reading.js';
import { artifactsOf } from './which.js';

export interface Signing {
  /** Absent where this installation has no key. */
  readonly signer?: Signer | undefined;
}

/** @throws Fault terminal `signing_off` */
export const signerOf = ({ signer }: Sources & Signing): Signer => {
  if (signer === undefined)
    throw refuse('signing_off', 'this process has no signing key: audit.key_file of servers.yaml names where it is kept');
  return signer;
};

const onlyOne = (artifacts: readonly ArtifactView[], id: string): ArtifactView => {
  const [first, ...more] = artifacts;
  if (more.length > 0)
    throw refuse(
      'invalid_parameter',
      `task "${id}" has ${artifacts.length} artifacts, and each has its own attestations; name one: ${artifacts
        .slice(0, 20)
        .map(({ artifact_id, path }) => `${artifact_id} (${path})`)
        .join(', ')}`,
    );
  return first!;
};

const why = ({ mark, taken_back, markings }: Standing): string => {
  const last = markings.at(-1);
  const said =
    last === undefined
      ? ''
      : `, says ${last.kind === 'taken_back' ? 'rollback' : 'cascade'} ${last.by}${last.reason === undefined ? '' : `: ${last.reason}`}`;
  return `${taken_back ? 'taken back' : mark}${said}`;
};

/**
 * A bundle of in-toto attestations, JSON Lines.
 * @throws Fault `artifact_not_found`, `artifact_not_accepted`, `artifact_tainted`, `invalid_parameter`, `signing_off`, and of log and views
 */
export const attest = async (sources: Sources & Signing, id: string, options: { readonly tainted: boolean }): Promise<string> => {
  const artifact = onlyOne(await artifactsOf(sources, id), id);
  const signer = signerOf(sources);
  const task = artifact.accepted ? await findTask(sources, artifact.task_id, artifact.project_id) : undefined;
  if (task === undefined)
    throw refuse(
      'artifact_not_accepted',
      `artifact "${artifact.artifact_id}" of attempt ${artifact.attempt} was not accepted (yet), and only what was accepted is attested`,
    );
  const record = await readRecord(sources, artifact, task);
  const around = await readSurroundings(sources, record);
  const { artifact_id, project_id, at } = artifact;
  const standing = (await readStandings(sources, project_id, [artifact_id], at)).get(artifact_id)!;
  if (!isClean(standing) && !options.tainted)
    throw refuse(
      'artifact_tainted',
      `artifact "${artifact_id}" is ${why(standing)}; with ?tainted=true it is attested all the same, and the attestation says so`,
    );
  return bundleOf(statementsOf(record, around, standing), signer);
};
