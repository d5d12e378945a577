// How tasks went, folded from their events: of the record and of a lane alike, so that the two are compared like with like.
//
// U1. Events that come too late for their attempt change nothing, as in scheduling. U2. A task is created once and ends once.
import { type DatsEvent, type EventOf, isTerminal, type Tier } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';

export interface AttemptRun {
  readonly attempt: number;
  readonly tier: Tier;
  /** The model that was named. */
  readonly named: string | undefined;
  /** The model that answered. */
  model?: string;
  provider?: string;
  tokensIn: number;
  tokensOut: number;
  /** Digests by path; undefined without an answer. */
  artifacts?: ReadonlyMap<string, string>;
  result: 'open' | 'passed' | 'rejected' | 'unanswered';
  /** Its answer or its verdict was drawn, not known. */
  estimated: boolean;
}

export interface TaskRun {
  readonly id: string;
  readonly createdMs: number;
  readonly attempts: AttemptRun[];
  endMs?: number;
  status?: 'completed' | 'failed' | 'cancelled';
  errorCode?: string;
}

export interface Runs {
  readonly tasks: ReadonlyMap<string, TaskRun>;
  take(event: DatsEvent): void;
}

const STATUS = { 'dats.task.completed': 'completed', 'dats.task.failed': 'failed', 'dats.task.cancelled': 'cancelled' } as const;

const answered = (run: AttemptRun, { model, provider, tokens_in, tokens_out, artifacts }: EventOf<'dats.task.output.created'>['data']) => {
  run.model = model;
  run.provider = provider;
  run.tokensIn = tokens_in;
  run.tokensOut = tokens_out;
  run.artifacts = new Map(artifacts.map(({ path, sha256 }) => [path, sha256]));
};

export const openRuns = (): Runs => {
  const tasks = new Map<string, TaskRun>();

  const took = (task: TaskRun, event: DatsEvent): void => {
    const last = task.attempts.at(-1);
    switch (event.type) {
      case 'dats.task.ready': {
        const { attempt, tier, model } = event.data;
        task.attempts.push({ attempt, tier, named: model, tokensIn: 0, tokensOut: 0, result: 'open', estimated: false });
        return;
      }
      case 'dats.task.output.created':
        if (last?.attempt === event.data.attempt && last.result === 'open' && last.artifacts === undefined) answered(last, event.data);
        return;
      case 'dats.task.validated':
        if (last?.attempt === event.data.attempt && last.result === 'open') last.result = 'passed';
        return;
      case 'dats.task.rejected':
        if (last?.attempt === event.data.attempt && last.result === 'open') last.result = 'rejected';
        return;
      case 'dats.task.retry.scheduled':
        if (last?.result === 'open') last.result = 'unanswered';
        return;
    }
  };

  const ended = (task: TaskRun, event: EventOf<keyof typeof STATUS>): void => {
    task.status = STATUS[event.type];
    task.endMs = millisOf(event.time);
    if (event.type === 'dats.task.failed') task.errorCode = event.data.error.code;
    const last = task.attempts.at(-1);
    if (last?.result === 'open') last.result = 'unanswered';
  };

  return {
    tasks,
    take(event) {
      if (event.type === 'dats.task.created') {
        const { task_id: id } = event.data;
        if (!tasks.has(id)) tasks.set(id, { id, createdMs: millisOf(event.time), attempts: [] });
        return;
      }
      if (!('task_id' in event.data) || event.data.task_id === undefined) return;
      const task = tasks.get(event.data.task_id);
      if (task === undefined || task.status !== undefined) return;
      if (isTerminal(event.type)) ended(task, event as EventOf<keyof typeof STATUS>);
      else took(task, event);
    },
  };
};

/** Did two go the same way: the same attempts at the same tiers, by the same models named, with the same results, to the same end? */
export const isSameWay = (a: TaskRun | undefined, b: TaskRun | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b;
  if (a.status !== b.status || a.errorCode !== b.errorCode || a.attempts.length !== b.attempts.length) return false;
  return a.attempts.every((one, i) => {
    const other = b.attempts[i]!;
    return one.tier === other.tier && one.named === other.named && one.result === other.result;
  });
};
