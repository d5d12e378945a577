// A whole partition without I/O: deciders over a list of records, with the effects played by the test. As live, what others append may lie between
// what the deciders read and what they say.
import {
  type DataOf,
  type DatsEvent,
  derivedId,
  type EventOf,
  type EventType,
  isTerminal,
  LIFECYCLE,
  QUOTA,
  type Work,
} from '../../schemas/index.js';
import { outgoing, type Recorded } from '../../streams/index.js';
import type { Decider } from '../decider.js';
import { type Fold, openFold, type Said } from '../host/fold.js';
import { eventOf } from './decider-specification.js';

export const SOURCE = '/deciders/test';

export interface World {
  readonly log: Recorded[];
  readonly work: EventOf<'dats.work.requested'>[];
  /** What the deciders tell the ledger. */
  readonly quota: DatsEvent[];
  /** Committed entries: what a restart would load. */
  readonly saved: Map<string, string>;
  now: number;
  /** Appends an event of others. */
  append<T extends EventType>(type: T, data: DataOf<T>, project?: string): void;
  /** Lets the deciders read up to `count` records and commit once; then the timers that are due. */
  step(count?: number): void;
  /** Goes on from what was committed, as after a crash. */
  restart(): void;
  readonly read: number;
  types(taskId: string): EventType[];
  terminals(taskId: string): EventType[];
}

export const openWorld = (deciders: () => readonly Decider[], start = Date.parse('2026-01-01T00:00:00.000Z')): World => {
  const log: Recorded[] = [];
  const work: EventOf<'dats.work.requested'>[] = [];
  const quota: DatsEvent[] = [];
  const saved = new Map<string, string>();
  let read = 0;
  let fold: Fold;
  let serial = 0;

  const push = (event: DatsEvent): void => {
    const { headers, value } = outgoing(LIFECYCLE, event);
    log.push({
      topic: LIFECYCLE,
      partition: 0,
      offset: log.length,
      key: event.projectid,
      headers,
      value,
      type: event.type,
      timestamp: world.now,
    });
  };
  const commit = (said: readonly Said[]): void => {
    for (const { topic, event } of said) {
      if (topic === LIFECYCLE) push(event);
      else if (topic === QUOTA) quota.push(event);
      else if (event.type === 'dats.work.requested') work.push(event);
    }
    for (const [key, value] of fold.changes()) {
      if (value === null) saved.delete(key);
      else saved.set(key, value);
    }
  };
  const open = (): Fold =>
    openFold(
      deciders(),
      [...saved].sort(([a], [b]) => (a < b ? -1 : 1)),
      { source: SOURCE, configVersion: () => '1', now: () => world.now },
    );

  const world: World = {
    log,
    work,
    quota,
    saved,
    now: start,
    append(type, data, project = 'p') {
      push({
        ...eventOf(type, data, { projectid: project, time: new Date(world.now).toISOString() }),
        id: derivedId('world', ++serial),
      } as DatsEvent);
    },
    step(count = Number.POSITIVE_INFINITY) {
      const said: Said[] = [];
      for (const until = Math.min(log.length, read + count); read < until; read++) {
        const record = log[read]!;
        const { headers, value } = record;
        const event = { ...headers, data: JSON.parse(String(value)) } as unknown as DatsEvent;
        said.push(...fold.take(event, record.offset));
      }
      commit(said);
      const due = fold.nextDue();
      if (due !== undefined && due <= world.now) commit(fold.tick(world.now, read - 1));
    },
    restart() {
      fold = open();
    },
    get read() {
      return read;
    },
    types: (taskId) => log.filter((r) => r.headers['subject'] === taskId).map((r) => r.type as EventType),
    terminals: (taskId) => world.types(taskId).filter(isTerminal),
  };
  fold = open();
  return world;
};

/** A minimal `created` for tests. */
export const creation = (task_id: string, details: Partial<DataOf<'dats.task.created'>> = {}): DataOf<'dats.task.created'> => ({
  task_id,
  description: { sha256: '0'.repeat(64), bytes: 4, content: 'text' },
  priority: 'normal',
  options: {},
  depends_on: [],
  inputs: [],
  files: [],
  submitted_by: 'test',
  ...details,
});

export const analysis = (task_id: string, tier: DataOf<'dats.task.analyzed'>['tier'] = 'small'): DataOf<'dats.task.analyzed'> => ({
  task_id,
  mode: 'new_project',
  domain: 'code',
  tier,
  complexity: 0.1,
  confidence: 0.9,
  estimated_tokens: 1,
  estimated_duration_ms: 1,
  estimated_completion: '2026-01-01T00:00:00.000Z',
  analyser: { name: 'test', version: '1' },
  features: {},
  candidates: [],
});

export const ready = (task_id: string): DataOf<'dats.task.ready'> => ({
  task_id,
  attempt: 1,
  tier: 'small',
  domain: 'code',
  prompt_version: 'p@1',
  context: { created: 0, inputs: [] },
  due: '2026-01-01T00:00:00.000Z',
});

export const output = (work: Pick<Work, 'task_id' | 'attempt'>): DataOf<'dats.task.output.created'> => ({
  task_id: work.task_id,
  attempt: work.attempt,
  model: 'm',
  provider: 'p',
  scripted: true,
  tokens_in: 1,
  tokens_out: 1,
  duration_ms: 1,
  artifacts: [
    {
      artifact_id: derivedId(work.task_id, work.attempt, 'a.txt'),
      type: 'text',
      path: 'a.txt',
      sha256: '0'.repeat(64),
      bytes: 1,
      content: 'x',
    },
  ],
  prompt_version: 'p@1',
  prompt_sha256: '0',
  sampling: {},
  consumed: [],
  omitted: [],
  fence: '1',
});
