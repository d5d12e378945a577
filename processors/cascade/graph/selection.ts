// Which artifacts a selector names.
//
// S1. All of it has to hold; what says nothing names all. S2. An artifact without facts (N2) can be named by its id alone. S3. A name or an instant that nobody knows names
// nothing. S4. By id or by task it is looked up; else all facts are read, names as their numbers.
import type { Selector } from '../../../schemas/index.js';
import { millisOf } from '../../iso-time.js';
import { FACT, type Facts, hasFacts, NAMES, timeAt } from './facts.js';
import { type IdIndex, numberOfId } from './id-index.js';
import { numberOf } from './interner.js';

/** What is asked of, as it stands. */
export interface Selectable {
  readonly ids: IdIndex;
  readonly facts: Facts;
  /** In ascending order. */
  readonly madeBy: (taskId: string) => readonly number[];
}

type Condition = (index: number) => boolean;

const NAMED = ['model', 'model_digest', 'prompt_version', 'node', 'config_version'] as const;

/** Undefined: nothing can fit (S3). */
const conditionsOf = (selector: Selector, { facts }: Selectable): readonly Condition[] | undefined => {
  const { rows } = facts;
  const conditions: Condition[] = [];
  for (const field of NAMED) {
    const name = selector[field];
    if (name === undefined) continue;
    const number = numberOf(facts.interner, name);
    if (number === 0) return undefined;
    const place = NAMES[field];
    conditions.push((index) => rows[index * FACT + place] === number);
  }
  if (selector.from !== undefined || selector.until !== undefined) {
    const from = selector.from === undefined ? Number.NEGATIVE_INFINITY : millisOf(selector.from);
    const until = selector.until === undefined ? Number.POSITIVE_INFINITY : millisOf(selector.until);
    conditions.push((index) => timeAt(facts, index) >= from && timeAt(facts, index) < until && hasFacts(facts, index));
  }
  return conditions;
};

/** The few that can be meant; undefined: any (S4). */
const candidatesOf = ({ artifact_id, task_id }: Selector, { ids, madeBy }: Selectable): readonly number[] | undefined => {
  const made = task_id === undefined ? undefined : madeBy(task_id);
  if (artifact_id === undefined) return made;
  const index = numberOfId(ids, artifact_id);
  return index >= 0 && (made === undefined || made.includes(index)) ? [index] : [];
};

/** Indexes below `below`, ascending. */
export const selectionOf = (selector: Selector, graph: Selectable, below: number): readonly number[] => {
  const conditions = conditionsOf(selector, graph);
  if (conditions === undefined) return [];
  const candidates = candidatesOf(selector, graph);
  if (candidates !== undefined) return candidates.filter((index) => index < below && conditions.every((holds) => holds(index)));
  const [first = () => true, ...others] = conditions;
  const found: number[] = [];
  const end = Math.min(below, graph.ids.size);
  for (let index = 0; index < end; index++) if (first(index)) found.push(index);
  return others.length === 0 ? found : found.filter((index) => others.every((holds) => holds(index)));
};
