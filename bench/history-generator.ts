// A history as a busy installation writes it, from a seed: lifecycle and telemetry of many tasks, interleaved, with envelopes, in the order of their times. Its memory
// does not grow with its length. Deterministic: the same shape and the same calls give the same records.
//
// S1. Every event fits its schema, and comes in an order that deciders could have made. S2. Of projects the largest has a tenth. S3. The tally is what a store must hold.
import { type DatsEvent, dataschemaOf, LIFECYCLE, partitionOf, TELEMETRY, type Topic } from '../schemas/index.js';
import { type Outgoing, outgoing } from '../streams/index.js';
import { type Made, NODES, type Said, taskEvents } from './generated-task.js';
import { openRandom } from './random.js';

export interface HistoryShape {
  readonly seed: number;
  /** Executions (attempts) in all; Infinity: it never ends. */
  readonly executions: number;
  readonly projects: number;
  /** Of the log: places of earlier events stand in events. */
  readonly partitions: number;
  /** Tasks that are open at a time. */
  readonly open: number;
  /** No node is sampled before that, in milliseconds since the epoch: telemetry is not kept for ever. */
  readonly samplesFrom: number;
}

/** S3: what the records so far make. */
export interface Tally {
  lifecycle: number;
  telemetry: number;
  executions: number;
  /** Of them by status. */
  readonly statuses: Record<string, number>;
  artifacts: number;
  /** From each artifact consumed to each made. */
  edges: number;
  calls: number;
  samples: number;
}

export interface HistoryGenerator {
  readonly tally: Readonly<Tally>;
  /** The next records, at most `count`, `stepMs` apart from `fromMs` (since the epoch) on; none at the end. Times never go back. */
  next(count: number, fromMs: number, stepMs: number): readonly Outgoing[];
}

/** About so many records an execution, telemetry included. */
export const RECORDS_PER_EXECUTION = 7.75;
/** A node is sampled every so many records. */
const SAMPLED_EVERY = 100;
const GIGABYTE = 2 ** 30;

const ENDINGS: Readonly<Record<string, string>> = {
  'dats.task.validated': 'accepted',
  'dats.task.rejected': 'rejected',
  'dats.task.attempt.failed': 'failed',
  'dats.task.timedout': 'timed_out',
  'dats.task.cancelled': 'cancelled',
};

/** S2: the first of `projects` has a tenth of what comes evenly in 0..1. */
export const projectAt = (projects: number, share: number): number =>
  projects === 1 ? 0 : Math.floor(projects * share ** Math.log10(projects));

interface OpenTask {
  readonly steps: Generator<Said>;
  readonly task_id: string;
  readonly project: string;
  readonly partition: number;
  readonly correlation: string;
  readonly trace: string;
  readonly actor: string;
  cause: string | undefined;
}

const count = (tally: Tally, { topic, type, data }: DatsEvent & { readonly topic: Topic }): void => {
  if (topic === LIFECYCLE) tally.lifecycle++;
  else tally.telemetry++;
  const status = ENDINGS[type];
  if (status !== undefined) {
    tally.executions++;
    tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
  }
  if (type === 'dats.task.output.created') {
    tally.artifacts += data.artifacts.length;
    tally.edges += data.artifacts.length * data.consumed.length;
  }
  if (type === 'dats.model.called') tally.calls++;
  if (type === 'dats.node.sampled') tally.samples++;
};

export const openHistory = (shape: HistoryShape): HistoryGenerator => new History(shape);

class History implements HistoryGenerator {
  readonly tally: Tally = { lifecycle: 0, telemetry: 0, executions: 0, statuses: {}, artifacts: 0, edges: 0, calls: 0, samples: 0 };
  readonly #shape: HistoryShape;
  readonly #random;
  readonly #open: OpenTask[] = [];
  readonly #made = new Map<string, Made[]>();
  /** Of the lifecycle topic, by partition. */
  readonly #offsets: number[];
  #executions = 0;
  #nowMs = 0;
  #count = 0;

  constructor(shape: HistoryShape) {
    this.#shape = shape;
    this.#random = openRandom(shape.seed);
    this.#offsets = Array.from({ length: shape.partitions }, () => 0);
  }

  next(most: number, fromMs: number, stepMs: number): readonly Outgoing[] {
    const records: Outgoing[] = [];
    while (records.length < most) {
      this.#nowMs = Math.max(this.#nowMs, Math.floor(fromMs + records.length * stepMs));
      const record = this.#sample() ?? this.#step();
      if (record === undefined) break;
      records.push(record);
    }
    return records;
  }

  #begin(): OpenTask {
    const random = this.#random;
    const project = `project-${projectAt(this.#shape.projects, random.next())}`;
    const partition = partitionOf(project, this.#shape.partitions);
    const task_id = random.uuid();
    let made = this.#made.get(project);
    if (made === undefined) {
      made = [];
      this.#made.set(project, made);
    }
    const steps = taskEvents({
      random,
      task_id,
      made,
      now: () => this.#nowMs,
      offset: () => this.#offsets[partition]!,
      mayExecute: () => this.#executions < this.#shape.executions && ++this.#executions > 0,
    });
    const [correlation, trace] = [random.uuid(), `1${random.hex(31)}`];
    return { steps, task_id, project, partition, correlation, trace, actor: `user-${random.int(40)}`, cause: undefined };
  }

  /** The next event of one of the open tasks. */
  #step(): Outgoing | undefined {
    while (true) {
      if (this.#open.length < this.#shape.open && this.#executions < this.#shape.executions) this.#open.push(this.#begin());
      if (this.#open.length === 0) return undefined;
      const at = this.#random.int(this.#open.length);
      const task = this.#open[at]!;
      const { value, done } = task.steps.next();
      if (done === true) {
        this.#open[at] = this.#open.at(-1)!;
        this.#open.pop();
        continue;
      }
      const record = this.#record(value, task, task.project);
      if (value.topic === LIFECYCLE) {
        task.cause = record.event!.id;
        this.#offsets[task.partition]!++;
      }
      return record;
    }
  }

  #sample(): Outgoing | undefined {
    if (++this.#count % SAMPLED_EVERY !== 0 || this.#nowMs < this.#shape.samplesFrom) return undefined;
    const random = this.#random;
    const node = random.pick(NODES);
    const total = 16 * GIGABYTE;
    const data = {
      node,
      worker: `${node}:${2_000 + random.int(8)}`,
      version: '0.1.0',
      roles: 'workers:small+qa',
      uptime_s: random.int(1_000_000),
      cpu_ratio: random.int(200) / 100,
      load_1m: random.int(400) / 100,
      rss_bytes: random.int(GIGABYTE),
      memory_free_bytes: random.int(total),
      memory_total_bytes: total,
      loop_delay_p99_ms: random.int(200) / 10,
      running_work: random.int(64),
      gpus: [],
    };
    const said: Said = { topic: TELEMETRY, type: 'dats.node.sampled', source: `/nodes/${node}`, data };
    const task = { task_id: node, correlation: random.uuid(), trace: `1${random.hex(31)}`, actor: node, cause: undefined };
    return this.#record(said, task, 'default');
  }

  #record(
    said: Said,
    task: Pick<OpenTask, 'task_id' | 'correlation' | 'trace' | 'actor' | 'cause'>,
    project: string,
  ): Outgoing & { event?: DatsEvent } {
    const { topic, type, source, data } = said;
    const random = this.#random;
    const event = {
      specversion: '1.0',
      id: random.uuid(),
      source,
      type,
      time: new Date(this.#nowMs).toISOString(),
      subject: task.task_id,
      datacontenttype: 'application/json',
      dataschema: dataschemaOf(type),
      projectid: project,
      correlationid: task.correlation,
      actor: source === '/gateway' ? task.actor : source,
      configversion: '4f1c09aa',
      traceparent: `00-${task.trace}-${random.hex(15)}1-01`,
      ...(task.cause === undefined ? {} : { causationid: task.cause }),
      data,
    } as DatsEvent;
    count(this.tally, { ...event, topic } as DatsEvent & { topic: Topic });
    return outgoing(topic, event, topic === TELEMETRY && 'node' in data ? data.node : project);
  }
}
