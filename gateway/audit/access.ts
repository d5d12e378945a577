// The way to signed history: whose key it is verified with, and how long that may take.
import { verifierOf } from '../../processors/audit/index.js';
import { within } from '../deadline.js';
import type { GatewayDeps } from '../deps.js';
import { type ProblemCode, refuse } from '../problem.js';

/** Who signs this installation's checkpoints. */
export interface AuditIdentity {
  readonly vkey: string;
}

/** What every route of the audit can answer besides its own problems. */
export const AUDIT_PROBLEMS = [
  'audit_off',
  'invalid_parameter',
  'log_unavailable',
  'unavailable',
] as const satisfies readonly ProblemCode[];

/** How long an answer may take that goes through a whole history, milliseconds. */
const PATIENCE_MS = 10 * 60_000;

/** @throws Fault terminal `audit_off` */
export const auditOf = (deps: Pick<GatewayDeps, 'log'> & { readonly audit?: AuditIdentity | undefined }): AuditIdentity => {
  if (deps.audit === undefined) throw refuse('audit_off', 'this gateway does not know the key that signs checkpoints');
  return deps.audit;
};

/** The name of the key, with which the first line of every checkpoint begins. */
export const keyNameOf = ({ vkey }: AuditIdentity): string => verifierOf(vkey).name;

export const patiently = <T>(work: Promise<T>): Promise<T> =>
  within(work, PATIENCE_MS, (ms) => refuse('unavailable', `the history could not be read within ${Math.round(ms / 60_000)} minutes`));
