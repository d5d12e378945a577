// Makes a row one that the table takes. What it would refuse holds up a partition's history for good, and events come from many hands: half a character at the end
// of a cut message, an instant that is none, a number that its column has no room for.
//
// F1. Every column of `dats.events` has its kind here (a test compares with 001_events.sql). F2. What does not fit becomes the nearest that does, or is left out:
// `data` has it as it was.
import type { EventRow } from './row.js';

type Kind = 'text' | 'texts' | 'time' | 'u16' | 'u64' | 'u64s' | 'real' | 'money' | 'flag';

export const KINDS: Readonly<Record<string, Kind>> = {
  topic: 'text',
  partition: 'u16',
  offset: 'u64',
  id: 'text',
  type: 'text',
  schema_version: 'u16',
  time: 'time',
  source: 'text',
  actor: 'text',
  subject: 'text',
  project_id: 'text',
  correlation_id: 'text',
  causation_id: 'text',
  trace_id: 'text',
  config_version: 'text',
  task_id: 'text',
  parent_id: 'text',
  attempt: 'u16',
  task_created_at: 'time',
  mode: 'text',
  domain: 'text',
  tier: 'text',
  priority: 'text',
  provenance_id: 'text',
  execution_status: 'text',
  ready_at: 'time',
  started_at: 'time',
  output_at: 'time',
  node: 'text',
  worker: 'text',
  fence: 'text',
  model: 'text',
  provider: 'text',
  model_digest: 'text',
  scripted: 'flag',
  prompt_version: 'text',
  prompt_sha256: 'text',
  input_tokens: 'u64',
  output_tokens: 'u64',
  duration_ms: 'real',
  confidence: 'real',
  artifact_ids: 'texts',
  artifact_paths: 'texts',
  artifact_types: 'texts',
  artifact_sha256: 'texts',
  artifact_bytes: 'u64s',
  consumed_ids: 'texts',
  consumed_tasks: 'texts',
  profile: 'text',
  score: 'real',
  checks_passed: 'texts',
  checks_failed: 'texts',
  reasons: 'texts',
  error_code: 'text',
  error_message: 'text',
  execution_time_ms: 'real',
  operation: 'text',
  purpose: 'text',
  outcome: 'text',
  first_chunk_ms: 'real',
  cost_usd: 'money',
  price_version: 'text',
  data: 'text',
};

const U16_MAX = 65_535;
/** Of Decimal(18, 9), whole dollars. */
const MONEY_MAX = 999_999_999;
/** First instant that a DateTime has no room for; milliseconds. */
const TIME_END = Date.UTC(2106, 0, 1);
const HALF_CHARACTER = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const IN_OUR_FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const fitText = (value: unknown): string | undefined =>
  typeof value === 'string'
    ? value.replace(HALF_CHARACTER, '\ufffd')
    : value === undefined || value === null
      ? undefined
      : JSON.stringify(value);
const fitNumber = (value: unknown, least: number, most: number): number | undefined =>
  typeof value === 'number' && !Number.isNaN(value) ? Math.min(most, Math.max(least, value)) : undefined;
const fitWhole = (value: unknown, most: number): number | undefined => {
  const number = fitNumber(value, 0, most);
  return number === undefined ? undefined : Math.trunc(number);
};

/** RFC 3339 in UTC with milliseconds; undefined for text that is no instant, or one that the tables have no room for. */
export const fitTime = (value: unknown): string | undefined => {
  if (typeof value !== 'string') return undefined;
  const ms = Date.parse(value);
  if (!(ms >= 0 && ms < TIME_END)) return undefined;
  return IN_OUR_FORM.test(value) ? value : new Date(ms).toISOString();
};

/** The instant when a record was appended, as `fitTime`. @param ms since the epoch */
export const timeOfAppend = (ms: number): string => new Date(fitWhole(ms, TIME_END - 1) ?? 0).toISOString();

const each = (value: unknown, one: (item: unknown) => string | number | undefined, empty: string | number) =>
  Array.isArray(value) ? value.map((item) => one(item) ?? empty) : undefined;

const FIT: Readonly<Record<Kind, (value: unknown) => EventRow[string] | undefined>> = {
  text: fitText,
  texts: (value) => each(value, fitText, ''),
  time: fitTime,
  u16: (value) => fitWhole(value, U16_MAX),
  u64: (value) => fitWhole(value, Number.MAX_SAFE_INTEGER),
  u64s: (value) => each(value, (item) => fitWhole(item, Number.MAX_SAFE_INTEGER), 0),
  real: (value) => fitNumber(value, -Number.MAX_VALUE, Number.MAX_VALUE),
  money: (value) => fitNumber(Number(value), 0, MONEY_MAX)?.toFixed(9),
  flag: (value) => value === true,
};

/** F2, in place. */
export const fitRow = (row: EventRow): EventRow => {
  for (const column in row) {
    const before = row[column];
    const after = FIT[KINDS[column]!](before);
    if (after === undefined) delete row[column];
    else if (after !== before) row[column] = after;
  }
  return row;
};
