// A partition with cascades and without I/O: a list of events, the fold, decisions taken in pieces as small as a test likes, crashes wherever it likes.
import {
  type DataOf,
  type DatsEvent,
  derivedId,
  type EventOf,
  type EventType,
  type RevalidationVerdict,
  serversSchema,
} from '../../../schemas/index.js';
import type { Draft } from '../../draft.js';
import { stamp } from '../../host/index.js';
import { isoOf } from '../../iso-time.js';
import { eventOf } from '../../testing/decider-specification.js';
import { creation } from '../../testing/pipeline-world.js';
import { type Asked, type CascadePolicy, decide, isCascadeEvent, nextStep, openProject, type Project, step, take } from '../index.js';

export const POLICY: CascadePolicy = serversSchema.parse({ version: 1 }).cascade;
const PROJECT = 'p';

export interface Made {
  /** Artifact ids by path. */
  readonly ids: Readonly<Record<string, string>>;
}

export interface CascadeWorld {
  readonly log: DatsEvent[];
  readonly work: EventOf<'dats.work.requested'>[];
  now: number;
  readonly project: Project;
  append<T extends EventType>(type: T, data: DataOf<T>, id?: string): DatsEvent;
  /** A task that makes files out of artifacts, and is completed. The content of a file is its name, so equal texts have equal digests. */
  make(task: string, files: Readonly<Record<string, string>>, from?: readonly string[], options?: MakeOptions): Record<string, string>;
  /** Reads up to `count` records, answers, goes on, commits. @returns whether anything happened */
  turn(count?: number): boolean;
  /** Turns, timers and verdicts until nothing moves. */
  settle(): void;
  /** Everything that is not committed is gone. */
  crash(): void;
  types(): EventType[];
  of<T extends EventType>(type: T): EventOf<T>[];
}

export interface MakeOptions {
  readonly attempt?: number;
  readonly model?: string;
  readonly hasTests?: boolean;
  readonly parent?: string;
  readonly dependsOn?: readonly string[];
  /** Leaves it running: no verdict, no end. */
  readonly open?: boolean;
  readonly creates?: boolean;
}

const digest = (text: string): string => derivedId(text).replaceAll('-', '').padEnd(64, '0');
export const artifactId = (task: string, path: string, attempt = 1): string => derivedId(task, attempt, path);

/** @param verdictOn what the check of a suspect says; undefined: it never answers */
export const openCascadeWorld = (
  verdictOn: (artifactId: string, without: readonly string[]) => RevalidationVerdict | undefined = () => 'cleared',
  policy: CascadePolicy = POLICY,
): CascadeWorld => {
  const log: DatsEvent[] = [];
  const work: EventOf<'dats.work.requested'>[] = [];
  let committed = 0;
  let read = 0;
  let saidBelow = 0;
  let answered = 0;
  let asked: Asked = new Map();
  let project = openProject(PROJECT, 0);

  const fold = (offset: number): void => {
    const event = log[offset]!;
    if (isCascadeEvent(event)) take(project, event, offset);
  };
  const toEvent = (draft: Draft, cause?: DatsEvent): DatsEvent =>
    stamp(draft, { source: '/deciders/cascade', actor: 'cascade', configversion: '1', time: isoOf(world.now), cause });

  const world: CascadeWorld = {
    log,
    work,
    now: Date.parse('2026-01-01T00:00:00.000Z'),
    get project() {
      return project;
    },
    append(type, data, id) {
      const event = eventOf(type, data, { time: isoOf(world.now), projectid: PROJECT, ...(id === undefined ? {} : { id }) }) as DatsEvent;
      log.push(event);
      return event;
    },
    make(task, files, from = [], options = {}) {
      const { attempt = 1, model = 'm', hasTests = true, parent, dependsOn = [], open = false, creates = true } = options;
      const tests = hasTests ? { tests: { language: 'python' as const, code: { sha256: digest('t'), bytes: 1, content: 't' } } } : {};
      if (creates)
        world.append('dats.task.created', {
          ...creation(task, { depends_on: [...dependsOn], ...tests }),
          ...(parent === undefined ? {} : { parent_id: parent }),
        });
      world.append('dats.task.started', { task_id: task, attempt, node: 'edge-1', worker: 'w', fence: '1-1' });
      const ids = Object.fromEntries(Object.keys(files).map((path) => [path, artifactId(task, path, attempt)]));
      world.append('dats.task.output.created', {
        task_id: task,
        attempt,
        artifacts: Object.entries(files).map(([path, text]) => ({
          artifact_id: ids[path]!,
          type: 'text' as const,
          path,
          sha256: digest(text),
          bytes: text.length,
          content: text,
        })),
        model,
        provider: 'scripted',
        scripted: true,
        tokens_in: 10,
        tokens_out: 5,
        duration_ms: 3,
        prompt_version: 'generate@1',
        prompt_sha256: digest('prompt'),
        sampling: {},
        consumed: from.map((artifact_id) => ({ artifact_id, task_id: 't', path: 'x', sha256: digest('x'), at: 0 })),
        omitted: [],
        fence: '1-1',
      });
      if (open) return ids;
      world.append('dats.task.validated', { task_id: task, attempt, profile: 'tests', checks: [], score: 1 });
      world.append('dats.task.completed', { task_id: task, attempt, provenance_id: derivedId(task, attempt), execution_time_ms: 1 });
      return ids;
    },
    turn(count = 1_000) {
      const outputs: DatsEvent[] = [];
      const upTo = Math.min(log.length, read + count);
      const began = read;
      for (; read < upTo; read++) {
        fold(read);
        const event = log[read]!;
        if (isCascadeEvent(event)) outputs.push(...decide(project, event, policy).map((draft) => toEvent(draft, event)));
      }
      if (read >= saidBelow) outputs.push(...step(project, world.now, policy, asked).map((draft) => toEvent(draft)));
      committed = read;
      for (const event of outputs) {
        if (event.type === 'dats.work.requested') work.push(event);
        else log.push(event);
      }
      if (outputs.length > 0) saidBelow = log.length;
      return read > began || outputs.length > 0;
    },
    settle() {
      for (let quiet = 0; quiet < 3; ) {
        if (world.turn()) {
          quiet = 0;
          continue;
        }
        quiet += answerWork() ? 0 : 1;
        if (read < saidBelow) continue;
        const due = nextStep(project, world.now, asked);
        if (due !== undefined && due > world.now) world.now = due;
      }
    },
    crash() {
      project = openProject(PROJECT, 0);
      asked = new Map();
      for (let offset = 0; offset < committed; offset++) fold(offset);
      read = committed;
      saidBelow = log.length;
    },
    types: () => log.map(({ type }) => type),
    of: <T extends EventType>(type: T) => log.filter((event) => event.type === type) as unknown as EventOf<T>[],
  };

  /** Verdicts of the checks that were asked for since. */
  const answerWork = (): boolean => {
    let any = false;
    for (; answered < work.length; answered++) {
      const { data } = work[answered]!;
      if (data.revalidate !== undefined) {
        const { cascade_id, artifact_id, without } = data.revalidate;
        const verdict = verdictOn(artifact_id, without);
        if (verdict === undefined) continue;
        const { task_id, attempt } = data;
        const said = {
          cascade_id,
          artifact_id,
          task_id,
          attempt,
          verdict,
          profile: 'tests' as const,
          checks: [],
          reasons: verdict === 'cleared' ? [] : ['no'],
        };
        world.append('dats.artifact.revalidated', said, derivedId(work[answered]!.id, 'revalidated'));
        any = true;
      }
      if (data.redo !== undefined) {
        const { new_task_id, rollback_id, depends_on, inputs } = data.redo;
        world.append('dats.task.created', {
          ...creation(new_task_id, { depends_on, inputs }),
          redo: { rollback_id, task_id: data.task_id },
        });
        any = true;
      }
    }
    return any;
  };
  return world;
};

/** `dats.cascade.requested` as a user asks for it. */
export const requestOf = (
  cascade_id: string,
  selector: DataOf<'dats.cascade.requested'>['selector'],
  limits: Partial<DataOf<'dats.cascade.requested'>['limits']> = {},
): DataOf<'dats.cascade.requested'> => ({
  cascade_id,
  trigger: 'request',
  selector,
  reason: 'it is bad',
  by: 'ada',
  limits: { max_depth: 50, max_artifacts: 1_000, per_second: 100_000, revalidations: 4, unproven: 'taint', ...limits },
});
