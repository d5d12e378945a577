// Histories that a seed writes, with what is to be found of them: told by whoever wrote them, not by the code that is tested.
import { type DataOf, derivedId, type EventType, LIFECYCLE, TELEMETRY, type Topic } from '../../../../schemas/index.js';
import { type Outgoing, outgoing } from '../../../../streams/index.js';
import { eventOf } from '../../../testing/index.js';
import { analysis, creation } from '../../../testing/pipeline-world.js';

export interface Execution {
  readonly task_id: string;
  readonly attempt: number;
  readonly status: string;
  readonly project_id: string;
  readonly model: string;
  readonly node: string;
  readonly artifact_ids: readonly string[];
  readonly consumed_ids: readonly string[];
}

export interface Call {
  readonly project_id: string;
  readonly task_id: string;
  readonly attempt: number;
  /** Billionths of a dollar. */
  readonly nanos: bigint;
  readonly duration_ms: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly ok: boolean;
}

export interface Script {
  readonly records: readonly Outgoing[];
  readonly executions: readonly Execution[];
  readonly calls: readonly Call[];
  /** `source -> target` */
  readonly edges: readonly string[];
  readonly artifacts: readonly string[];
  /** `project day: events` */
  readonly projectDays: ReadonlyMap<string, number>;
}

export interface ScriptOptions {
  readonly tasks: number;
  readonly random: () => number;
  /** Before the ids of tasks. */
  readonly name?: string;
  /** Instant of the n-th event, in milliseconds since the epoch; default: one each 700 ms. */
  readonly timeOf?: (n: number) => number;
}

const PROJECTS = ['north', 'red', 'green', 'alpha', 'beta', 'blue'];
const MODELS = ['alpha', 'beta'];
/** Not long ago: telemetry is kept for a while only. */
const START = Math.floor(Date.now() / 86_400_000 - 5) * 86_400_000;
const SHA = '0'.repeat(64);

type Step = readonly [topic: Topic, type: EventType, data: unknown];

export const script = ({ tasks, random, name = 'task', timeOf = (n) => START + n * 700 }: ScriptOptions): Script => {
  const int = (below: number): number => Math.floor(random() * below);
  const executions: Execution[] = [];
  const calls: Call[] = [];
  const edges: string[] = [];
  const artifacts: string[] = [];
  const made: { readonly id: string; readonly task: string }[] = [];

  const attemptOf = (task_id: string, project_id: string, attempt: number, how: string): Step[] => {
    const model = MODELS[int(MODELS.length)]!;
    const node = `node-${int(3)}`;
    const few = int(3);
    const consumed = few === 0 ? [] : made.slice(-few);
    const ids = Array.from({ length: 1 + int(3) }, (_, i) => derivedId(task_id, attempt, `f${i}.py`));
    const nanos = BigInt(int(2_000_000_000)) + 1n;
    const call = {
      project_id,
      task_id,
      attempt,
      nanos,
      duration_ms: 5 + random() * 20_000,
      input_tokens: int(5_000),
      output_tokens: int(900),
      ok: how !== 'failed',
    };
    calls.push(call);
    const ready: Step = [
      LIFECYCLE,
      'dats.task.ready',
      {
        task_id,
        attempt,
        tier: 'small',
        domain: 'code',
        prompt_version: 'p@1',
        context: { created: 0, inputs: [] },
        due: new Date(START).toISOString(),
      },
    ];
    const started: Step = [LIFECYCLE, 'dats.task.started', { task_id, attempt, node, worker: `${node}:1`, fence: '1-1' }];
    const called: Step = [
      TELEMETRY,
      'dats.model.called',
      {
        operation: 'chat',
        model,
        request_model: model,
        provider: 'p',
        purpose: 'generate',
        task_id,
        attempt,
        node,
        input_tokens: call.input_tokens,
        output_tokens: call.output_tokens,
        cost_usd: Number(nanos) / 1e9,
        duration_ms: call.duration_ms,
        outcome: call.ok ? 'ok' : 'error',
      } satisfies DataOf<'dats.model.called'>,
    ];
    const output: Step = [
      LIFECYCLE,
      'dats.task.output.created',
      {
        task_id,
        attempt,
        artifacts: ids.map((artifact_id, i) => ({ artifact_id, type: 'python', path: `f${i}.py`, sha256: SHA, bytes: i, content: '' })),
        model,
        provider: 'p',
        scripted: false,
        tokens_in: call.input_tokens,
        tokens_out: call.output_tokens,
        duration_ms: call.duration_ms,
        prompt_version: 'p@1',
        prompt_sha256: SHA,
        sampling: {},
        consumed: consumed.map(({ id, task }) => ({ artifact_id: id, task_id: task, path: 'x.py', sha256: SHA, at: 0 })),
        omitted: [],
        fence: '1-1',
      } satisfies DataOf<'dats.task.output.created'>,
    ];
    const verdict = {
      task_id,
      attempt,
      profile: 'syntax',
      checks: [{ name: 'syntax:python', status: 'passed', duration_ms: 1 }],
      score: 1,
    };
    const end = (
      status: string,
      known: { model?: string; artifact_ids?: readonly string[]; consumed_ids?: readonly string[] } = {},
    ): void =>
      void executions.push({ task_id, attempt, status, project_id, node, model: '', artifact_ids: [], consumed_ids: [], ...known });
    const produced = { model, artifact_ids: ids, consumed_ids: consumed.map(({ id }) => id) };
    const produce = (): void => {
      artifacts.push(...ids);
      for (const target of ids) for (const { id } of consumed) edges.push(`${id} -> ${target}`);
      made.push(...ids.map((id) => ({ id, task: task_id })));
    };
    switch (how) {
      case 'accepted':
        produce();
        end('accepted', produced);
        return [ready, started, called, output, [LIFECYCLE, 'dats.task.validated', verdict]];
      case 'rejected':
        produce();
        end('rejected', produced);
        return [ready, started, called, output, [LIFECYCLE, 'dats.task.rejected', { ...verdict, reasons: ['wrong'], retryable: true }]];
      case 'failed':
        end('failed');
        return [
          ready,
          started,
          called,
          [
            LIFECYCLE,
            'dats.task.attempt.failed',
            { task_id, attempt, stage: 'generation', error: { code: 'model_error', message: 'm', retryable: true } },
          ],
        ];
      case 'late':
        // The answer comes after its time: its artifacts are made, and the execution has ended without them.
        produce();
        end('timed_out');
        return [ready, started, [LIFECYCLE, 'dats.task.timedout', { task_id, attempt, after_ms: 10 }], called, output];
      case 'cancelled':
        end('cancelled');
        return [ready, started, called, [LIFECYCLE, 'dats.task.cancelled', { task_id, reason: 'r', by: 'b' }]];
      default:
        end('failed');
        return [
          ready,
          started,
          called,
          [LIFECYCLE, 'dats.task.failed', { task_id, attempt, error: { code: 'deadline', message: 'm', retryable: false } }],
        ];
    }
  };

  const lives = Array.from({ length: tasks }, (_, i) => {
    const task_id = `${name}-${i}`;
    const project_id = PROJECTS[int(PROJECTS.length)]!;
    const completed = (attempt: number): Step => [
      LIFECYCLE,
      'dats.task.completed',
      { task_id, attempt, provenance_id: derivedId(task_id, 'execution', attempt), execution_time_ms: int(60_000) },
    ];
    const begin: Step[] = [
      [LIFECYCLE, 'dats.task.created', creation(task_id)],
      [LIFECYCLE, 'dats.task.analyzed', analysis(task_id)],
    ];
    const attempts = [
      ['accepted'],
      ['rejected', 'accepted'],
      ['failed', 'rejected', 'accepted'],
      ['late', 'accepted'],
      ['cancelled'],
      ['rejected', 'deadline'],
    ][int(6)]!;
    const steps = attempts.map((how, n) => attemptOf(task_id, project_id, n + 1, how));
    return { project_id, steps: [...begin, ...steps.flat(), ...(attempts.at(-1) === 'accepted' ? [completed(attempts.length)] : [])] };
  });

  const projectDays = new Map<string, number>();
  const records: Outgoing[] = [];
  const open = [...lives];
  while (open.length > 0) {
    const at = int(Math.min(open.length, 20));
    const { project_id, steps } = open[at]!;
    const [topic, type, data] = steps.shift()!;
    const time = new Date(timeOf(records.length)).toISOString();
    const event = eventOf(type, data as DataOf<typeof type>, { projectid: project_id, time, id: derivedId(name, records.length) });
    const day = `${project_id} ${time.slice(0, 10)}`;
    projectDays.set(day, (projectDays.get(day) ?? 0) + 1);
    records.push(outgoing(topic, event));
    if (steps.length === 0) open.splice(at, 1);
  }
  return { records, executions, calls, edges, artifacts, projectDays };
};
