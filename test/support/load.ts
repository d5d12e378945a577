// Tasks of every kind for a node that is killed under them, and a submitter that never gives one up.
//
// L1. Every submission carries an Idempotency-Key and is sent again, with the same key, until it is answered. L2. What was acknowledged is remembered.
// L3. No more than OPEN_LIMIT acknowledged tasks are open at a time.
import { pause } from '../../streams/index.js';
import type { Api } from './api.js';
import { eventually } from './eventually.js';
import type { Random } from './random.js';

/** Acknowledged and not ended, at most. */
const OPEN_LIMIT = 120;
/** A submission that is not answered for this long, restarts included, is a failure; milliseconds. */
const ANSWERED_WITHIN_MS = 60_000;

export const KINDS = ['instant', 'slow', 'rejected', 'broken', 'large', 'dependent', 'cancelled', 'decomposed'] as const;
export type Kind = (typeof KINDS)[number];
/** How often each is drawn. */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  instant: 30,
  slow: 25,
  rejected: 12,
  broken: 4,
  large: 5,
  dependent: 10,
  cancelled: 10,
  decomposed: 4,
};
const BAG: readonly Kind[] = KINDS.flatMap((kind) => Array.from({ length: WEIGHTS[kind] }, () => kind));

/** Beyond what travels inside an event. */
const LARGE = 'All work and no play makes a large description. '.repeat(900);
const file = (content: string, more: object = {}) => ({ files: [{ path: 'data.json', language: 'json', content }], ...more });
const RIGHT = file('{"answer": 42}');
const steps = {
  steps: [
    { title: 'one', description: '[script:slow] first' },
    { title: 'two', description: '[script:instant] second', depends_on: [0] },
  ],
};

/** The scripted answers for the kinds. */
export const LOAD_SCRIPT = JSON.stringify({
  version: 1,
  rules: [
    { match: { purpose: 'decompose' }, answers: [{ text: JSON.stringify(steps), latency_ms: [0, 20] }] },
    { match: { task: 'slow' }, answers: [{ ...RIGHT, latency_ms: [0, 30] }] },
    { match: { task: 'rejected' }, answers: [file('{"answer": 42'), { ...RIGHT, latency_ms: [0, 10] }] },
    { match: { task: 'broken' }, answers: [file('{"answer":')] },
    { match: { task: 'large' }, answers: [file(JSON.stringify({ text: LARGE }))] },
    { match: {}, answers: [RIGHT] },
  ],
});

export const MAX_RUNNING = 10;
/** Sections of servers.yaml for a node that does them; the script beside it as script.json. */
export const WORK = {
  models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }],
  scheduling: { max_running_per_project: MAX_RUNNING, backoff_base_ms: 20, backoff_max_ms: 100 },
  slots: { qa: 4 },
};

export interface Acknowledged {
  readonly task_id: string;
  readonly project_id: string;
  readonly kind: Kind;
  readonly key: string;
  readonly depends_on: readonly string[];
  /** What the node said to the request to cancel it, where it was answered. */
  cancel?: string;
}

export interface Load {
  readonly acknowledged: readonly Acknowledged[];
  /** Answers that should not have been: another status, another id for the same key. */
  readonly surprises: readonly string[];
  /** The follower tells which tasks have ended. */
  ended(taskId: string): void;
  /** Submits until `signal` aborts; what is under way is brought to its end. */
  run(signal: AbortSignal): Promise<void>;
}

/** Statuses that ask for another try. */
const LATER: ReadonlySet<number> = new Set([429, 503]);

/** @param pauseMs from one task of a lane to the next; default: none */
export const startLoad = (
  api: Pick<Api, 'submit' | 'cancel'>,
  random: Random,
  projects: readonly string[],
  lanes: number,
  pauseMs = 0,
): Load => {
  const acknowledged: Acknowledged[] = [];
  const surprises: string[] = [];
  const finished = new Set<string>();
  let serial = 0;
  let open = 0;

  const persistently = <T extends { readonly status: number }>(what: string, ask: () => Promise<T>): Promise<T> =>
    eventually(what, ANSWERED_WITHIN_MS, async () => {
      const answer = await ask();
      return LATER.has(answer.status) ? undefined : answer;
    });

  const submit = async (kind: Kind): Promise<void> => {
    const project_id = random.pick(projects);
    const key = `key-${serial++}`;
    const siblings = acknowledged.filter((task) => task.project_id === project_id).slice(-20);
    const depends_on = kind === 'dependent' && siblings.length > 0 ? [random.pick(siblings).task_id] : [];
    const script = kind === 'dependent' || kind === 'cancelled' ? random.pick(['instant', 'slow'] as const) : kind;
    const body = {
      project_id,
      depends_on,
      description: `[script:${script}] ${key}${kind === 'large' ? `\n${LARGE}` : ''}`,
      options: {
        qa_profile: 'syntax',
        ...(kind === 'decomposed' ? { decompose: true } : {}),
        ...(kind === 'broken' ? { max_attempts: 2 } : {}),
      },
    };
    const again = random.next() < 0.1;
    const answer = await persistently(`an answer to ${key}`, () => api.submit(body, key));
    if (answer.status !== 202) {
      surprises.push(`${key} (${kind}): HTTP ${answer.status} ${JSON.stringify(answer.body)}`);
      return;
    }
    const task: Acknowledged = { task_id: answer.body.task_id, project_id, kind, key, depends_on };
    acknowledged.push(task);
    if (!finished.has(task.task_id)) open++;
    if (again) {
      const second = await persistently(`a second answer to ${key}`, () => api.submit(body, key));
      if (second.body?.task_id !== task.task_id) surprises.push(`${key} again: HTTP ${second.status} ${JSON.stringify(second.body)}`);
    }
    if (kind === 'cancelled') {
      const cancel = await persistently(`an answer to the cancelling of ${key}`, () => api.cancel(task.task_id));
      if (cancel.status === 200) task.cancel = cancel.body.outcome;
      else surprises.push(`cancelling ${key}: HTTP ${cancel.status} ${JSON.stringify(cancel.body)}`);
    }
  };

  const lane = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      if (open >= OPEN_LIMIT) await eventually('fewer open tasks', ANSWERED_WITHIN_MS, () => open < OPEN_LIMIT || signal.aborted);
      else await submit(random.pick(BAG));
      if (pauseMs > 0) await pause(pauseMs, signal);
    }
  };

  return {
    acknowledged,
    surprises,
    ended(taskId) {
      if (finished.has(taskId)) return;
      finished.add(taskId);
      if (acknowledged.some((task) => task.task_id === taskId)) open--;
    },
    run: async (signal) => void (await Promise.all(Array.from({ length: lanes }, () => lane(signal)))),
  };
};
