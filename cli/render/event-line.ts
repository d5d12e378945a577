// An event as one line a person reads: when, which task, what happened, and the one thing worth knowing about it.
import { refusalText } from '../../processors/quota/index.js';
import type { DatsEvent } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { RECOVERY_SAYERS } from './recovery-says.js';
import { plural, type Said, type Sayers } from './said.js';
import { clip, duration, oneLine, shortId } from './text.js';

/** Longest detail, characters. */
const DETAIL_WIDTH = 160;
const VERB_WIDTH = 10;

const again = (attempt: number): string => (attempt > 1 ? `attempt ${attempt}, ` : '');

/** Of a failed check the line that says most: an error with its message, else the last line that is not empty. */
export const gist = (detail: string): string => {
  const lines = detail
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  return oneLine(lines.findLast((line) => /^(\w+\.)*\w*(Error|Exception|Failure|Interrupt)\b.*:/.test(line)) ?? lines.at(-1) ?? detail);
};

const budgetOf = ({ tokens, cost_usd }: { readonly tokens: number; readonly cost_usd: number }): string => {
  const parts = [...(tokens > 0 ? [`${tokens} tokens`] : []), ...(cost_usd > 0 ? [`${cost_usd} USD`] : [])];
  return parts.length === 0 ? 'its turn' : `${parts.join(' and ')} set aside`;
};

const SAY: Sayers = {
  'dats.task.created': ({ data }) => ({
    verb: 'created',
    detail: `${data.priority}${data.parent_id === undefined ? '' : `, part of ${shortId(data.parent_id)}`}${data.depends_on.length > 0 ? `, after ${data.depends_on.map(shortId).join(', ')}` : ''}${data.redo === undefined ? '' : `, anew for ${shortId(data.redo.task_id)}, which was taken back`}`,
    paint: 'dim',
  }),
  'dats.task.analyzed': ({ data }) => ({
    verb: 'analyzed',
    detail: `${data.mode} ${data.domain}${data.language === undefined ? '' : ` (${data.language})`} -> ${data.tier}, complexity ${data.complexity.toFixed(2)}, confidence ${data.confidence.toFixed(2)}`,
  }),
  'dats.task.decomposed': ({ data }) => ({
    verb: 'decomposed',
    detail: `into ${plural(data.children.length, 'subtask')}: ${data.children.map((child) => child.title).join(' | ')}`,
    paint: 'cyan',
  }),
  'dats.task.queued': ({ data }) => ({
    verb: 'queued',
    detail:
      data.reason === 'dependencies'
        ? 'waits for the tasks it depends on'
        : data.reservation_id === undefined
          ? `position ${data.position} in its project${data.reason === 'quota' ? ', waits for its turn under a quota' : ''}`
          : 'asks for its budget',
    paint: 'dim',
  }),
  'dats.quota.reserved': ({ data }) => ({ verb: 'budget', detail: budgetOf(data), paint: 'dim' }),
  'dats.quota.blocked': ({ data }) => ({ verb: 'blocked', detail: refusalText(data), paint: 'yellow' }),
  'dats.task.ready': ({ data }) => ({
    verb: 'ready',
    detail: `${again(data.attempt)}tier ${data.tier}${data.context.inputs.length > 0 ? `, ${plural(data.context.inputs.length, 'input')}` : ''}`,
    paint: 'dim',
  }),
  'dats.task.started': ({ data }) => ({ verb: 'started', detail: `${again(data.attempt)}on ${data.node}` }),
  'dats.task.output.created': ({ data }) => ({
    verb: 'output',
    detail: `${data.artifacts.map((artifact) => artifact.path).join(', ')} by ${data.model}${data.scripted ? ' (scripted)' : ''} in ${duration(data.duration_ms)}, ${data.tokens_in} + ${data.tokens_out} tokens${data.consumed.length > 0 ? `, from ${plural(data.consumed.length, 'input')}` : ''}`,
  }),
  'dats.task.attempt.failed': ({ data }) => ({ verb: 'no verdict', detail: `${data.stage}: ${data.error.message}`, paint: 'yellow' }),
  'dats.task.validated': ({ data }) => ({
    verb: 'validated',
    detail: data.checks.map((check) => `${check.name} ${check.status}`).join(', ') || `profile ${data.profile}`,
    paint: 'green',
  }),
  'dats.task.rejected': ({ data }) => {
    const failed = data.checks.find((check) => check.status === 'failed');
    return {
      verb: 'rejected',
      detail: failed === undefined ? (data.reasons[0] ?? '') : `${failed.name} failed: ${gist(failed.detail ?? data.reasons[0] ?? '')}`,
      paint: 'yellow',
    };
  },
  'dats.task.retry.scheduled': ({ data }) => ({
    verb: 'retry',
    detail: `attempt ${data.attempt} in ${duration(data.backoff_ms)} on tier ${data.tier}${data.escalated ? ' (escalated)' : ''}`,
    paint: 'yellow',
  }),
  'dats.task.timedout': ({ data }) => ({
    verb: 'timed out',
    detail: `attempt ${data.attempt} after ${duration(data.after_ms)}`,
    paint: 'yellow',
  }),
  'dats.task.cancel.requested': ({ data }) => ({ verb: 'cancel', detail: `asked by ${data.by}: ${data.reason}`, paint: 'magenta' }),
  'dats.task.cancelled': ({ data }) => ({ verb: 'cancelled', detail: `${data.reason} (by ${data.by})`, paint: 'magenta' }),
  'dats.task.completed': ({ data }) => ({
    verb: 'completed',
    detail: `in ${duration(data.execution_time_ms)}${data.attempt > 1 ? `, attempt ${data.attempt}` : ''}`,
    paint: 'green',
  }),
  'dats.task.failed': ({ data }) => ({ verb: 'failed', detail: `${data.error.code}: ${data.error.message}`, paint: 'red' }),
  'dats.ops.alert': ({ data }) => ({ verb: data.severity, detail: `${data.what}: ${data.detail}`, paint: 'red' }),
  ...RECOVERY_SAYERS,
};

/** What happened, in words; a type that this build does not know keeps its name. */
export const say = (event: DatsEvent): Said => {
  const sayer = SAY[event.type] as ((event: DatsEvent) => Said) | undefined;
  return sayer?.(event) ?? { verb: event.type.replace(/^dats\.(task\.)?/, ''), detail: '' };
};

export interface LineOptions {
  /** Milliseconds since the epoch that `+0.00s` stands for. */
  readonly start: number;
  readonly label: string;
  readonly labelWidth?: number;
  readonly colours?: Colours;
}

/** Such as `+0.42s  slugify  rejected   tests:python failed: AssertionError: ...`. */
export const eventLine = (event: DatsEvent, { start, label, labelWidth = 14, colours = plain }: LineOptions): string => {
  const { verb, detail, paint } = say(event);
  const seconds = Math.max(0, Date.parse(event.time) - start) / 1_000;
  const word = verb.padEnd(VERB_WIDTH);
  return `${colours.dim(`+${seconds.toFixed(2)}s`.padStart(8))}  ${clip(oneLine(label), labelWidth).padEnd(labelWidth)}  ${paint === undefined ? word : colours[paint](word)} ${clip(oneLine(detail), DETAIL_WIDTH)}`.trimEnd();
};
