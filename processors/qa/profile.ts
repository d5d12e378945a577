// Which profile judges a task: what it asked for, else `tests` where it brought some, else `syntax`.
import type { DataOf, QaProfile } from '../../schemas/index.js';

export const profileOf = (task: Pick<DataOf<'dats.task.created'>, 'options' | 'tests'>): QaProfile =>
  task.options.qa_profile ?? (task.tests === undefined ? 'syntax' : 'tests');
