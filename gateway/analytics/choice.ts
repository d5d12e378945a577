// Why a model made something, and which were asked on the way: what the event of an attempt says of it. History has where that event stands, the log has it.
import type { CallSummary, Decision } from '../../schemas/index.js';
import { type Analytics, type Row, readableEventOf } from '../../streams/index.js';
import type { Sources } from '../reads.js';
import { numberOf } from './cells.js';
import type { Found } from './resolve.js';

const SAID = `
SELECT partition, offset FROM dats.events
WHERE project_id = {project:String} AND task_id = {task:String} AND attempt = {attempt:UInt16}
  AND type IN ('dats.task.output.created', 'dats.task.attempt.failed') AND topic = 'dats.lifecycle'
ORDER BY offset`;

export interface Choice {
  /** The last one; null where no model was to be chosen, or events of then do not say it. */
  readonly decision: Decision | null;
  /** In the order in which they ended. */
  readonly calls: readonly CallSummary[];
}

export const choiceOf = async (analytics: Analytics, { log }: Pick<Sources, 'log'>, found: Found): Promise<Choice> => {
  const { project_id: project, task_id: task, attempt } = found;
  const rows = await analytics.query<Row>(SAID, { project, task, attempt });
  let decision: Decision | null = null;
  const calls: CallSummary[] = [];
  for (const { partition, offset } of rows) {
    const record = await log.get({ topic: 'dats.lifecycle', partition: numberOf(partition), offset: numberOf(offset) });
    const event = record === undefined ? undefined : readableEventOf(record);
    if (event?.type !== 'dats.task.output.created' && event?.type !== 'dats.task.attempt.failed') continue;
    decision = event.data.decision ?? decision;
    calls.push(...(event.data.calls ?? []));
  }
  return { decision, calls };
};
