// What a failed run leaves behind, for whoever must understand it: who has which partition, how far, and where open tasks stopped.
import { isTerminal, LIFECYCLE, WORK_TOPICS } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { readLog } from './whole-log.js';

const GROUPS = [
  ['core', [LIFECYCLE]],
  ['views', [LIFECYCLE]],
  ['workers', WORK_TOPICS],
] as const;
const TASKS_SHOWN = 10;

const lagsOf = async (log: Log, group: string, topics: (typeof GROUPS)[number][1]): Promise<string> => {
  const lags = await log.lag(group, topics);
  return lags
    .filter(({ lag, owner }) => lag > 0 || owner === undefined)
    .map(
      ({ topic, partition, committed, end, owner }) =>
        `${group} ${topic}/${partition}: at ${committed} of ${end}, owner ${owner ?? 'nobody'}`,
    )
    .join('\n');
};

const openTasksIn = async (log: Log): Promise<string> => {
  const histories = new Map<string, string[]>();
  for (const { topic, partition, offset, event } of (await readLog(log)).events) {
    if (!('task_id' in event.data) || event.data.task_id === undefined) continue;
    const history = histories.get(event.data.task_id) ?? [];
    histories.set(event.data.task_id, history);
    if (topic === LIFECYCLE || topic.startsWith('dats.work.')) history.push(`${event.type} ${topic} p${partition}-${offset} ${event.time}`);
  }
  const open = [...histories].filter(([, history]) => history.length > 0 && !history.some((line) => isTerminal(line.split(' ', 1)[0]!)));
  return [`${open.length} open tasks`, ...open.slice(0, TASKS_SHOWN).map(([task, history]) => `${task}\n  ${history.join('\n  ')}`)].join(
    '\n',
  );
};

/** Never throws: a log that cannot be read says so. */
export const diagnosisOf = async (log: Log): Promise<string> => {
  const parts = [...GROUPS.map(([group, topics]) => lagsOf(log, group, topics)), openTasksIn(log)];
  return (await Promise.allSettled(parts)).map((part) => (part.status === 'fulfilled' ? part.value : String(part.reason))).join('\n');
};
