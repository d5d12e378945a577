// How the tasks of the load must have ended, and what gateways say of it.
import type { ProjectStatus, TaskView } from '../../schemas/index.js';
import { type Api, isFinal } from './api.js';
import { eventually } from './eventually.js';
import type { Acknowledged } from './load.js';

/** Questions at a time. */
const ASKED_AT_ONCE = 16;

/** The final views of tasks. @throws when one is not final within `limitMs`. */
export const finalViewsOf = async (api: Pick<Api, 'task'>, ids: readonly string[], limitMs: number): Promise<readonly TaskView[]> => {
  const views: TaskView[] = [];
  let next = 0;
  const ask = async (): Promise<void> => {
    for (let i = next++; i < ids.length; i = next++)
      views[i] = await eventually(`the final view of ${ids[i]}`, limitMs, async () =>
        api.task(ids[i]!).then((view) => isFinal(view) && view),
      );
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask));
  return views;
};

/** Any of these. */
const wantedOf = (task: Acknowledged, state: ReadonlyMap<string, string>, isOvertaken: boolean): readonly string[] => {
  if (task.kind === 'broken') return ['failed 2'];
  if (task.kind === 'rejected') return ['completed 2'];
  if (task.kind === 'decomposed') return ['completed 0'];
  if (task.kind === 'cancelled') return [task.cancel === 'cancelled' ? 'cancelled' : ''];
  if (task.depends_on.every((id) => state.get(id) === 'completed')) return ['completed 1'];
  return isOvertaken ? ['failed 0', 'completed 1'] : ['failed 0'];
};

/**
 * Tasks of the load that ended otherwise than their kind must, or after more attempts than its script orders: a crash costs none.
 * @param overtaken projects whose tasks may come to their home before those that they depend on, and do not wait for them then; default: none
 */
export const misfitsOf = (
  tasks: readonly Acknowledged[],
  views: readonly TaskView[],
  overtaken: readonly string[] = [],
): readonly string[] => {
  const states = new Map(views.map((view) => [view.task_id, view.state]));
  return tasks.flatMap((task, i) => {
    const { state, attempt, error } = views[i]!;
    const wanted = wantedOf(task, states, overtaken.includes(task.project_id));
    return wanted.some((one) => `${state} ${attempt}`.startsWith(one))
      ? []
      : [`${task.kind} ${task.key}: ${state} after ${attempt} attempts instead of ${wanted.join(' or ')} (${JSON.stringify(error)})`];
  });
};

/** Tasks of a project by state, as a gateway counts them. */
export const countsOf = async (api: Api, project: string): Promise<Readonly<Record<string, number>>> => {
  const { status, body } = await api.ask<ProjectStatus>('GET', `/api/v1/projects/${project}/status`);
  if (status !== 200) throw new Error(`HTTP ${status}: ${JSON.stringify(body)}`);
  return Object.fromEntries(Object.entries(body.counts).filter(([, count]) => count !== 0));
};
