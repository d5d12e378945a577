// Submits a task anew after a rollback took back what it had made.
//
// D1. The new task asks for what the old one asked for: description, files, tests, priority and options, from the event that created it. Inputs and
// dependencies are those that the rollback names: versions that stand now. D2. It stands on its own: no parent, which is over. A former subtask sees its parent's
// files as before, its own win, and it is not split. D3. The ids of the new task and of its event follow from the rollback and the old task, so a repeated
// run says the same. D4. That the old task has ended does not stop it; the end of the new one does. D5. Where it fails for good, `dats.task.attempt.failed` of the old
// task says so, under the id that the creation would have had: the rollback waits for one of the two.
import { type DataOf, derivedId, type EventOf, Fault, type FileContent, type Work } from '../../schemas/index.js';
import { say } from '../draft.js';
import type { Effect, EffectContext } from '../effect.js';

type Requested = EventOf<'dats.work.requested'>;
type Created = DataOf<'dats.task.created'>;

/** That a task may bring; as in `dats.task.created`. */
const FILES_LIMIT = 200;

/** @throws Fault terminal `not_work` */
const askedOf = ({ data: { redo } }: Requested): NonNullable<Work['redo']> => {
  if (redo === undefined) throw new Fault('terminal', 'not_work', 'work of kind "redo" does not say what the new task is');
  return redo;
};

/** D3, D5. */
const idOf = (work: Requested): string => derivedId(askedOf(work).rollback_id, 'redo', work.data.task_id);

/** @throws Fault terminal `spec_missing` */
const createdAt = async (offset: number, context: EffectContext, task_id?: string): Promise<Created> => {
  const event = await context.eventAt(offset);
  if (event.type === 'dats.task.created' && (task_id === undefined || event.data.task_id === task_id)) return event.data;
  throw new Fault('terminal', 'spec_missing', `the ${event.type} at offset ${offset} does not create the task that is to be redone`);
};

/** D2. @throws Fault terminal `spec_missing`, `too_many_files`. */
const filesOf = async (old: Created, parent: number | undefined, context: EffectContext): Promise<FileContent[]> => {
  if (parent === undefined) return old.files;
  const own = new Set(old.files.map(({ path }) => path));
  const inherited = (await createdAt(parent, context)).files.filter(({ path }) => !own.has(path));
  const files = [...old.files, ...inherited];
  if (files.length > FILES_LIMIT)
    throw new Fault('terminal', 'too_many_files', `with its parent's the task has ${files.length} files; a task can bring ${FILES_LIMIT}`);
  return files;
};

/** `at`: when it was decided, so that a repeated run comes to the same (D3). */
const optionsOf = ({ options, parent_id }: Created, at: string): Created['options'] => {
  const { decompose, deadline, ...kept } = options;
  return {
    ...kept,
    ...(decompose === undefined || parent_id !== undefined ? {} : { decompose }),
    ...(deadline === undefined || Date.parse(deadline) <= Date.parse(at) ? {} : { deadline }),
  };
};

export const redoEffect: Effect = {
  name: 'redo',
  kinds: ['redo'],
  concerns: (work) => askedOf(work).new_task_id,
  givenUp: (work, { code, message, kind }) => {
    const { task_id, attempt } = work.data;
    const error = { code, message, retryable: kind === 'retryable' };
    return [say('dats.task.attempt.failed', task_id, { task_id, attempt, stage: 'analysis', error }, idOf(work))];
  },
  async run(work, _ports, context) {
    const { task_id, context: where } = work.data;
    const { rollback_id, new_task_id, depends_on, inputs } = askedOf(work);
    context.signal.throwIfAborted();
    const old = await createdAt(where.created, context, task_id);
    const files = await filesOf(old, where.parent, context);
    context.signal.throwIfAborted();
    const { description, priority, tests, submitted_by } = old;
    const created: Created = {
      task_id: new_task_id,
      description,
      priority,
      options: optionsOf(old, work.time),
      depends_on,
      inputs,
      files,
      ...(tests === undefined ? {} : { tests }),
      submitted_by,
      redo: { rollback_id, task_id },
    };
    return [say('dats.task.created', new_task_id, created, idOf(work))];
  },
};
