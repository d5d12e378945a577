// The rows of P8: executions as the events that end them, made by the engine itself, row by row from a hash of the seed. They go into `dats.events`, as the ingestion's
// do, and the materialized views make everything else of them. Not by way of JSON, which takes more than twice as long (bench/README.md).
//
// Q1. A row depends on the seed, its number and how many there are, never on the chunk that it came in. Q2. Projects are skewed: the largest has a tenth.
// Q3. What was consumed exists: an artifact of an earlier accepted execution of the same project.

/** Of the shapes below: another one makes a kept store stale. */
export const ROWS_VERSION = 1;

export interface Rows {
  readonly seed: number;
  /** Executions in all, spread evenly over `days` up to `until` (milliseconds since the epoch). */
  readonly executions: number;
  readonly days: number;
  readonly until: number;
  readonly projects: number;
  readonly partitions: number;
}

/** Numbers that many apart are of the same project. */
const STRIDE = 10_007;
const SPREAD = 7_919;
const DAY_MS = 86_400_000;
/** Earlier executions that inputs are taken from. */
const CONSUMED_FROM = 20;
const HISTORY_TOPIC = 'dats.lifecycle';

/** Column -> expression over `number`. */
type Columns = Readonly<Record<string, string>>;

const hash = (seed: number, of: string, salt: string): string => `cityHash64(${seed}, ${of}, '${salt}')`;
const uuid = (seed: number, of: string, salt: string): string => `toString(reinterpretAsUUID(sipHash128(${seed}, ${of}, '${salt}')))`;
const digest = (seed: number, of: string, salt: string): string =>
  `lower(concat(hex(sipHash128(${seed}, ${of}, '${salt}')), hex(sipHash128(${of}, '${salt}', ${seed}))))`;
const pick = (seed: number, salt: string, values: readonly string[]): string =>
  `[${values.map((value) => `'${value}'`).join(', ')}][1 + ${hash(seed, 'number', salt)} % ${values.length}]`;
const milli = (of: string): string => `fromUnixTimestamp64Milli(toInt64(${of}), 'UTC')`;

/** 0 .. 999: below 800 accepted, below 950 rejected, then failed, timed out, cancelled. */
const die = (seed: number, of: string): string => `${hash(seed, of, 'status')} % 1000`;
const statusOf = (seed: number): string => {
  const at = die(seed, 'number');
  return `multiIf(${at} < 800, 'accepted', ${at} < 950, 'rejected', ${at} < 980, 'failed', ${at} < 990, 'timed_out', 'cancelled')`;
};
const TYPE_OF_STATUS =
  "transform(ended_as, ['accepted', 'rejected', 'failed', 'timed_out', 'cancelled'], ['dats.task.validated', 'dats.task.rejected', 'dats.task.attempt.failed', 'dats.task.timedout', 'dats.task.cancelled'], '')";

/** Q2: with P projects the n-th quantile to the power log10(P) gives the first of them a tenth. */
const projectOf = ({ projects }: Rows): string =>
  `toUInt32(floor(${projects} * pow((number * ${SPREAD} % ${STRIDE}) / ${STRIDE}, ${Math.log10(projects)})))`;

const artifactsOf = (seed: number, of: string): string => `(1 + ${hash(seed, of, 'artifacts')} % 3)`;
/** The hash is one of bytes: both who makes it and who consumes it need the same types. */
const artifactId = (seed: number, of: string, at: string): string =>
  `toString(reinterpretAsUUID(sipHash128(${seed}, toUInt64(${of}), toUInt64(${at}), 'artifact')))`;
const eachArtifact = (seed: number, expression: string): string =>
  `if(ended_as IN ('accepted', 'rejected'), arrayMap(k -> ${expression}, range(${artifactsOf(seed, 'number')})), [])`;

/** Numbers of the executions whose first artifact goes in. */
const sourcesOf = (seed: number): string => {
  const steps = `arrayMap(k -> toInt64(number) - ${STRIDE} * toInt64(1 + cityHash64(${seed}, number, k, 'source') % ${CONSUMED_FROM}), range(${hash(seed, 'number', 'consumed')} % 4))`;
  return `arrayDistinct(arrayFilter(j -> j >= 0 AND ${die(seed, 'toUInt64(j)')} < 800, ${steps}))`;
};

const columnsOf = (rows: Rows): Columns => {
  const { seed, executions, days, until, partitions } = rows;
  const begin = until - days * DAY_MS;
  const step = (days * DAY_MS) / executions;
  const ms = (salt: string, most: number): string => `(${hash(seed, 'number', salt)} % ${most})`;
  return {
    topic: `'${HISTORY_TOPIC}'`,
    ended_as: statusOf(seed),
    execution_status: 'ended_as',
    ended_ms: `toUInt64(${begin} + number * ${step})`,
    took_ms: `200 + ${ms('took', 60_000)}`,
    project: projectOf(rows),
    partition: `project % ${partitions}`,
    offset: 'number * 8',
    id: uuid(seed, 'number', 'event'),
    type: TYPE_OF_STATUS,
    schema_version: '1',
    time: milli('ended_ms'),
    source: `if(ended_as IN ('accepted', 'rejected'), '/effects/qa', '/deciders/core')`,
    actor: 'source',
    task_id: uuid(seed, 'number', 'task'),
    subject: 'task_id',
    project_id: `concat('project-', toString(project))`,
    correlation_id: uuid(seed, 'number', 'correlation'),
    causation_id: uuid(seed, 'number', 'cause'),
    trace_id: `lower(hex(sipHash128(${seed}, number, 'trace')))`,
    config_version: pick(seed, 'config', ['4f1c09aa', '9be21d07', 'c0ffee12']),
    attempt: `1 + (${ms('attempt', 100)} > 82)`,
    task_created_at: milli('ended_ms - took_ms - 1500'),
    mode: pick(seed, 'mode', ['new_project', 'modify', 'fix', 'review', 'document', 'test']),
    domain: pick(seed, 'domain', ['code', 'web', 'data', 'infra', 'docs', 'test', 'general']),
    tier: pick(seed, 'tier', ['small', 'small', 'small', 'medium', 'medium', 'large']),
    priority: pick(seed, 'priority', ['low', 'normal', 'normal', 'normal', 'high', 'urgent']),
    provenance_id: uuid(seed, 'number', 'execution'),
    ready_at: milli('ended_ms - took_ms - 400'),
    started_at: milli('ended_ms - took_ms - 300'),
    output_at: milli('ended_ms - 200'),
    node: pick(seed, 'node', ['core-1', 'core-2', 'edge-1', 'edge-2', 'edge-3', 'edge-4']),
    worker: `concat(node, ':', toString(2000 + ${ms('worker', 8)}))`,
    fence: `concat(toString(${ms('fence', 40)}), '-', toString(number % 1000))`,
    model: `concat(tier, '-', ${pick(seed, 'model', ['a', 'b', 'c'])})`,
    provider: pick(seed, 'model', ['ollama', 'openai', 'vllm']),
    model_digest: `concat('sha256:', lower(hex(sipHash64(model))))`,
    scripted: 'false',
    prompt_version: pick(seed, 'prompt', ['generate@1', 'generate@2', 'generate@3', 'generate@4']),
    prompt_sha256: digest(seed, 'number', 'prompt'),
    input_tokens: `200 + ${ms('in', 6_000)}`,
    output_tokens: `20 + ${ms('out', 1_500)}`,
    duration_ms: 'took_ms',
    confidence: `${ms('confidence', 100)} / 100`,
    artifact_ids: eachArtifact(seed, artifactId(seed, 'number', 'k')),
    artifact_paths: eachArtifact(seed, `concat('src/module_', toString(cityHash64(${seed}, number, k, 'path') % 400), '.py')`),
    artifact_types: `arrayMap(x -> 'python', artifact_ids)`,
    artifact_sha256: eachArtifact(
      seed,
      `lower(concat(hex(sipHash128(${seed}, number, k, 'sha')), hex(sipHash128(k, number, ${seed}, 'sha'))))`,
    ),
    artifact_bytes: eachArtifact(seed, `100 + cityHash64(${seed}, number, k, 'bytes') % 8000`),
    sources: `if(empty(artifact_ids), [], ${sourcesOf(seed)})`,
    consumed_ids: `arrayMap(j -> ${artifactId(seed, 'j', '0')}, sources)`,
    consumed_tasks: `arrayMap(j -> ${uuid(seed, 'toUInt64(j)', 'task')}, sources)`,
    profile: pick(seed, 'profile', ['syntax', 'tests', 'tests']),
    score: `if(ended_as = 'accepted', 1, if(ended_as = 'rejected', 0.5, NULL))`,
    checks_passed: `if(ended_as IN ('accepted', 'rejected'), ['syntax:python'], [])`,
    checks_failed: `if(ended_as = 'rejected', ['tests:python'], [])`,
    reasons: `if(ended_as = 'rejected', [concat('AssertionError: expected ', toString(${ms('expected', 1_000)}))], [])`,
    error_code: `transform(ended_as, ['failed', 'timed_out', 'cancelled'], ['model_timeout', 'timeout', 'cancelled'], '')`,
    error_message: `if(error_code = '', '', concat(error_code, ' after ', toString(took_ms), ' ms'))`,
    data: `concat('{"task_id":"', task_id, '","attempt":', toString(attempt), ',"profile":"', profile, '","checks":[{"name":"tests:python","status":"', if(ended_as = 'accepted', 'passed', 'failed'), '","duration_ms":', toString(${ms('check', 4_000)}), '}],"score":', toString(ifNull(score, 0)), '}')`,
  };
};

/** Beside the columns of the table: what several of them are made from. */
const BETWEEN: ReadonlySet<string> = new Set(['ended_as', 'ended_ms', 'took_ms', 'project', 'sources']);

const insert = (columns: Columns, from: number, to: number, where = '1'): string => {
  const names = Object.keys(columns).filter((name) => !BETWEEN.has(name));
  const given = Object.entries(columns).map(([name, expression]) => `${expression} AS ${name}`);
  return `INSERT INTO dats.events (${names.join(', ')}) SELECT ${names.join(', ')} FROM (SELECT ${given.join(', ')} FROM numbers(${from}, ${to - from})) WHERE ${where}`;
};

/** The events that end the executions `from` up to before `to`. */
export const endingsSql = (rows: Rows, from: number, to: number): string => insert(columnsOf(rows), from, to);

/** The outputs of the same executions, for what is asked of artifacts and their edges. One that has no artifact has none. */
export const outputsSql = (rows: Rows, from: number, to: number): string => {
  const columns: Columns = {
    ...columnsOf(rows),
    offset: 'number * 8 - 1',
    id: uuid(rows.seed, 'number', 'output'),
    type: `'dats.task.output.created'`,
    execution_status: `''`,
    time: milli('ended_ms - 200'),
    source: `'/effects/generation'`,
    profile: `''`,
    score: 'NULL',
    checks_passed: '[]',
    checks_failed: '[]',
    reasons: '[]',
  };
  return insert(columns, from, to, 'notEmpty(artifact_ids)');
};
