// What each task made: a linked list through its artifacts, newest first.
import { withRows } from './rows.js';

export interface MadeBy {
  /** By task: its newest artifact + 1; 0: none. */
  newest: Int32Array;
  /** By artifact: the one that its task made before it + 1; 0: none. */
  before: Int32Array;
}

export const openMadeBy = (): MadeBy => ({ newest: new Int32Array(0), before: new Int32Array(0) });

export const putMade = (made: MadeBy, task: number, index: number): void => {
  made.newest = withRows(made.newest, task + 1);
  made.before = withRows(made.before, index + 1);
  made.before[index] = made.newest[task]!;
  made.newest[task] = index + 1;
};

/** Ascending. */
export const madeBy = ({ newest, before }: MadeBy, task: number): readonly number[] => {
  const made: number[] = [];
  for (let next = newest[task] ?? 0; next !== 0; next = before[next - 1]!) made.push(next - 1);
  return made.sort((a, b) => a - b);
};
