// Checks a suspect again: is what the attempt made right without what is bad of what it was made from?
//
// R1. The whole output of the attempt is judged, as when it was made, but for what it consumed: what is tainted is left out, or replaced by the version of
// the same path that stands now. R2. `cleared` needs evidence: the task's own tests ran and passed. `failed`: a check failed. All else is `unproven`: code that
// parses proves nothing, and neither does a sandbox that is not there. R3. One verdict for each artifact of a cascade: its id is derived from both.
// R4. The end of the cascade stops it, the end of the task does not: tasks of suspects are over.
import { type ArtifactRef, type CheckResult, type DataOf, derivedId, type EventOf, Fault, type Work } from '../../schemas/index.js';
import { type Draft, say } from '../draft.js';
import type { Effect } from '../effect.js';
import { gather } from './gather.js';
import { type ProfileResult, runProfile } from './run-profile.js';

type Requested = EventOf<'dats.work.requested'>;
type Asked = NonNullable<Work['revalidate']>;
type Outcome = Pick<DataOf<'dats.artifact.revalidated'>, 'verdict' | 'checks' | 'reasons'>;

const MAX_REASON_CHARACTERS = 8_000;
/** Of a task with tests the tests, of any other what there is. */
const DEFAULT_PROFILE = 'tests';

/** @throws Fault terminal `not_work` */
const askedOf = ({ data: { revalidate } }: Requested): Asked => {
  if (revalidate === undefined) throw new Fault('terminal', 'not_work', 'work of kind "revalidate" does not say which artifact is meant');
  return revalidate;
};

/** What it is judged with (R1). A tainted input without a good version of its path is gone. */
const standing = (consumed: readonly ArtifactRef[], { without, instead }: Asked): ArtifactRef[] => {
  const bad = new Set(without);
  const good = new Map(instead.map((ref) => [ref.path, ref]));
  return consumed.flatMap((ref) => (bad.has(ref.artifact_id) ? (good.get(ref.path) ?? []) : ref));
};

const isEvidence = ({ name, status }: CheckResult): boolean => name.startsWith('tests:') && status === 'passed';

/** R2. */
const outcomeOf = ({ passed, checks, reasons }: ProfileResult): Outcome => {
  if (!passed) return { verdict: 'failed', checks: [...checks], reasons: [...reasons] };
  if (checks.some(isEvidence)) return { verdict: 'cleared', checks: [...checks], reasons: [] };
  return { verdict: 'unproven', checks: [...checks], reasons: ['no tests of the task ran on it'] };
};

const verdictOf = (work: Requested, outcome: Outcome): readonly Draft[] => {
  const { task_id, attempt, qa_profile: profile = DEFAULT_PROFILE } = work.data;
  const { cascade_id, artifact_id } = askedOf(work);
  // Of the work item: an artifact can be suspected again, for something else.
  const id = derivedId(work.id, 'revalidated');
  return [say('dats.artifact.revalidated', artifact_id, { cascade_id, artifact_id, task_id, attempt, profile, ...outcome }, id)];
};

export const revalidateEffect: Effect = {
  name: 'revalidate',
  kinds: ['revalidate'],
  concerns: (work) => askedOf(work).cascade_id,
  givenUp: (work, { code, message }) =>
    verdictOf(work, { verdict: 'unproven', checks: [], reasons: [`${code}: ${message}`.slice(0, MAX_REASON_CHARACTERS)] }),
  async run(work, ports, context) {
    context.signal.throwIfAborted();
    const asked = askedOf(work);
    const input = await gather(work.data, ports.artifacts, context, (consumed) => standing(consumed, asked));
    const result = await runProfile(work.data.qa_profile ?? DEFAULT_PROFILE, input, ports.checks, context.signal);
    context.signal.throwIfAborted();
    return verdictOf(work, outcomeOf(result));
  },
};
