// What happens in projects, told to a gateway's world: tasks that made files out of others' files; and, where a test wants them, the real deciders of cascades.
import { runCascades } from '../../../processors/cascade/index.js';
import { VIEW } from '../../../processors/index.js';
import { eventOf } from '../../../processors/testing/index.js';
import {
  type DataOf,
  type DatsEvent,
  decode,
  derivedId,
  type EventType,
  LIFECYCLE,
  newId,
  partitionOf,
  workTopic,
} from '../../../schemas/index.js';
import { eventOf as eventIn, outgoing } from '../../../streams/index.js';
import { recordsOf, until, type World } from '../../testing/world.js';

export const digest = (text: string): string => derivedId(text).replaceAll('-', '').padEnd(64, '0');

export interface Made {
  readonly task_id: string;
  readonly project_id: string;
  /** By path. */
  readonly ids: Readonly<Record<string, string>>;
}

export interface MakeOptions {
  readonly project?: string;
  readonly model?: string;
  readonly provider?: string;
  /** What it was made from. */
  readonly from?: readonly string[];
  /** Leaves it under validation. */
  readonly open?: boolean;
  readonly parent?: string;
}

/** Appends an event and waits until the views have it. @returns its offset */
export const tell = async <T extends EventType>(world: World, project: string, type: T, data: DataOf<T>, id = newId()): Promise<number> => {
  const event = eventOf(type, data, { id, projectid: project, time: new Date().toISOString() }) as DatsEvent;
  const [position] = await world.log.append([outgoing(LIFECYCLE, event)]);
  await until(async () => (await world.views.checkpoint(VIEW, position!.partition)) > position!.offset || undefined);
  return position!.offset;
};

/** A task that makes these files (path -> text), and is completed; without any it is only submitted. Equal texts have equal digests. */
export const make = async (world: World, files: Readonly<Record<string, string>>, options: MakeOptions = {}): Promise<Made> => {
  const { project = 'p', model = 'scripted', provider = 'scripted', from = [], open = false, parent } = options;
  const task_id = newId();
  const say = <T extends EventType>(type: T, data: Omit<DataOf<T>, 'task_id'>) =>
    tell(world, project, type, { task_id, ...data } as DataOf<T>);
  const content = { sha256: digest('d'), bytes: 1, content: 'd' };
  const tests = { language: 'python' as const, code: content };
  const created = await say('dats.task.created', {
    description: content,
    priority: 'normal',
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: 'test',
    tests,
    ...(parent === undefined ? {} : { parent_id: parent }),
  });
  const context = { created, inputs: [] };
  const due = '2030-01-01T00:00:00.000Z';
  if (Object.keys(files).length === 0) return { task_id, project_id: project, ids: {} };
  await say('dats.task.ready', { attempt: 1, tier: 'small', domain: 'code', prompt_version: 'generate@1', context, due });
  await say('dats.task.started', { attempt: 1, node: 'n1', worker: 'w', fence: '1-1' });
  const ids = Object.fromEntries(Object.keys(files).map((path) => [path, derivedId(task_id, 1, path)]));
  await say('dats.task.output.created', {
    attempt: 1,
    artifacts: Object.entries(files).map(([path, text]) => ({
      artifact_id: ids[path]!,
      type: 'text' as const,
      path,
      sha256: digest(text),
      bytes: text.length,
      content: text,
    })),
    model,
    provider,
    scripted: provider === 'scripted',
    tokens_in: 100,
    tokens_out: 50,
    duration_ms: 7,
    prompt_version: 'generate@1',
    prompt_sha256: digest('prompt'),
    sampling: {},
    consumed: from.map((artifact_id) => ({ artifact_id, task_id: 't', path: 'x', sha256: digest('x'), at: 0 })),
    omitted: [],
    fence: '1-1',
  });
  if (open) return { task_id, project_id: project, ids };
  await say('dats.task.validated', { attempt: 1, profile: 'tests', checks: [], score: 1 });
  await say('dats.task.completed', { attempt: 1, provenance_id: derivedId(task_id, 1), execution_time_ms: 1 });
  return { task_id, project_id: project, ids };
};

/** Runs the deciders of cascades and rollbacks, and clears every suspect, until it is stopped. */
export const runDeciders = async (world: World): Promise<{ stop(): Promise<void> }> => {
  const { config, settings, now } = world.deps;
  const configVersion = () => settings.current().version;
  const over = new AbortController();
  const run = { log: world.log, views: world.views, policy: config.cascade, configVersion, now, onProblem: () => undefined };
  const member = await world.log.join('cascade', [LIFECYCLE], (assignment) => runCascades(assignment, run));
  const checking = Array.from({ length: config.log.partitions }, (_, partition) => clearSuspects(world, partition, over.signal));
  return {
    stop: async () => {
      over.abort();
      await Promise.all(checking);
      await member.leave();
    },
  };
};

const clearSuspects = async (world: World, partition: number, signal: AbortSignal): Promise<void> => {
  for await (const records of world.log.read({ topic: workTopic('qa'), partition, offset: 0 }, signal))
    for (const record of records) {
      const work = eventIn(record);
      if (work.type !== 'dats.work.requested' || work.data.revalidate === undefined) continue;
      const { cascade_id, artifact_id } = work.data.revalidate;
      const { task_id, attempt } = work.data;
      const verdict = { verdict: 'cleared' as const, profile: 'tests' as const, checks: [], reasons: [] };
      await tell(world, work.projectid, 'dats.artifact.revalidated', { cascade_id, artifact_id, task_id, attempt, ...verdict });
    }
};

/** Reads every record as another process would. @throws Fault where what the gateway said is no event */
export const decodeAll = async (world: World): Promise<void> => {
  for (let partition = 0; partition < world.log.partitions(LIFECYCLE); partition++)
    for (const { headers, value } of await recordsOf(world.log, LIFECYCLE, partition)) decode(headers, value);
};

/** Where every partition of the lifecycle topic ends: what must not change when nothing is done. */
export const ends = (world: World): Promise<number[]> =>
  Promise.all(
    Array.from({ length: world.log.partitions(LIFECYCLE) }, async (_, partition) => (await world.log.range(LIFECYCLE, partition)).end),
  );

export const partitionIn = (world: World, project: string): number => partitionOf(project, world.log.partitions(LIFECYCLE));

export interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: DatsEvent;
}

/** The events of a stream that has ended. */
export const messagesOf = (text: string): Message[] =>
  text.split('\n\n').flatMap((frame) => {
    const fields = Object.fromEntries(
      frame.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    return fields['data'] === undefined
      ? []
      : [{ id: fields['id'] ?? '', event: fields['event'] ?? '', data: JSON.parse(fields['data']) as DatsEvent }];
  });
