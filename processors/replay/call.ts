// When two calls are the same: the same task and attempt, prompt, model or tier, inputs, and the same reasons for trying again. Sampling follows from the attempt.
import type { DatsEvent, EventOf, Work } from '../../schemas/index.js';
import { builtInOf } from '../prompt-versions.js';
import type { AttemptRecord } from './record.js';

type Call = Pick<Work, 'tier' | 'model' | 'prompt_version'> & { readonly inputs: string; readonly previous: string | undefined };

/** The contents that a call is given, in order: another order is another prompt. */
export const inputsOf = (context: Work['context']): string =>
  context.inputs.length === 0 ? '' : context.inputs.map(({ path, sha256 }) => `${path}:${sha256}`).join('\n');

/** What the next attempt is told about this one. */
export const reasonOf = (event: EventOf<'dats.task.rejected' | 'dats.task.attempt.failed'>): string =>
  event.type === 'dats.task.rejected' ? event.data.reasons.join('\n') : `${event.data.error.code}: ${event.data.error.message}`;

const answeredBy = ({ outcome, model }: AttemptRecord): string | undefined =>
  outcome?.event.type === 'dats.task.output.created' ? outcome.event.data.model : model;

/**
 * A call that names a model is answered by that one, whatever the tier; one that names none is its tier's. A system message that was changed since makes no other
 * call: a replay asks what else would have been decided, and another prompt is a change of its own (`changes.prompt`).
 */
export const isSameCall = (record: AttemptRecord, call: Call): boolean =>
  builtInOf(record.promptVersion) === builtInOf(call.prompt_version) &&
  (call.model === undefined ? record.model === undefined && record.tier === call.tier : answeredBy(record) === call.model) &&
  record.inputs === call.inputs &&
  record.previous === call.previous;

/** Checks by name, where an event holds some. */
export const checksOf = (event: DatsEvent) =>
  event.type === 'dats.task.validated' || event.type === 'dats.task.rejected' ? event.data.checks : [];
