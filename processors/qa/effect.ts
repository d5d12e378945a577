// Judges an attempt: gathers what it produced and what the task brought, runs the profile, and says the verdict.
import { derivedId } from '../../schemas/index.js';
import { type Draft, say } from '../draft.js';
import type { Effect } from '../effect.js';
import { gather } from './gather.js';
import { runProfile } from './run-profile.js';

export { revalidateEffect } from './revalidate-effect.js';

export const qaEffect: Effect = {
  name: 'qa',
  kinds: ['check'],
  async run(work, ports, context): Promise<readonly Draft[]> {
    const { task_id, attempt, qa_profile = 'syntax' } = work.data;
    const input = await gather(work.data, ports.artifacts, context);
    const { passed, checks, score, reasons, retryable } = await runProfile(qa_profile, input, ports.checks, context.signal);
    const verdict = { task_id, attempt, profile: qa_profile, checks: [...checks], score };
    const id = derivedId(task_id, 'check', attempt);
    return [
      passed
        ? say('dats.task.validated', task_id, verdict, id)
        : say('dats.task.rejected', task_id, { ...verdict, reasons: [...reasons], retryable }, id),
    ];
  },
};
