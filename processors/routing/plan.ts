// Plans: what a model (or a list in the description) says about the steps of a task. Pure.
//
// P1. A plan that passes has 1..PLAN_LIMIT_STEPS steps, bounded texts, and no cycle. P2. Garbage is an answer in words, never an exception.
import { z } from 'zod';
import { isSafePath } from '../../schemas/index.js';
import { jsonIn } from './json-answer.js';

export const PLAN_LIMIT_STEPS = 20;
export const STEP_LIMIT_CHARS = 8_000;
const TITLE_LIMIT_CHARS = 200;
const FILES_LIMIT = 50;

export interface Step {
  readonly title: string;
  readonly description: string;
  readonly depends_on: readonly number[];
  /** Paths that the step is about. */
  readonly files: readonly string[];
  /** The task's tests are to pass after this step. */
  readonly tests: boolean;
}

export type PlanResult = { readonly ok: true; readonly steps: readonly Step[] } | { readonly ok: false; readonly why: string };

const stepSchema = z.object({
  title: z.string().trim().max(2_000).default(''),
  description: z.string().trim().max(STEP_LIMIT_CHARS, `must be at most ${STEP_LIMIT_CHARS} characters`).default(''),
  depends_on: z.array(z.coerce.number().int()).nullish(),
  files: z.array(z.string()).max(FILES_LIMIT).nullish(),
  tests: z.unknown().optional(),
});
const planSchema = z.object({ steps: z.array(stepSchema).min(1).max(PLAN_LIMIT_STEPS, `must be at most ${PLAN_LIMIT_STEPS} steps`) });

/** The steps of a cycle, first one again at the end; undefined: there is none. */
export const cycleIn = (steps: readonly { readonly depends_on: readonly number[] }[]): readonly number[] | undefined => {
  const done = new Set<number>();
  const path: number[] = [];
  const visit = (step: number): readonly number[] | undefined => {
    const at = path.indexOf(step);
    if (at >= 0) return [...path.slice(at), step];
    if (done.has(step)) return undefined;
    path.push(step);
    for (const before of steps[step]!.depends_on) {
      const found = visit(before);
      if (found) return found;
    }
    path.pop();
    done.add(step);
    return undefined;
  };
  for (let i = 0; i < steps.length; i++) {
    const found = visit(i);
    if (found) return found;
  }
  return undefined;
};

const wants = (tests: unknown): boolean => tests === true || tests === 'true' || tests === 'yes';

/** `value` as a plan, or why it is none. */
export const planOf = (value: unknown): PlanResult => {
  const parsed = planSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { ok: false, why: `/${issue.path.join('/')}: ${issue.message}` };
  }
  const steps: Step[] = [];
  for (const [index, { title, description, depends_on, files, tests }] of parsed.data.steps.entries()) {
    const text = description || title;
    if (text === '') return { ok: false, why: `/steps/${index}: has neither title nor description` };
    const outside = depends_on?.find((other) => other < 0 || other >= parsed.data.steps.length);
    if (outside !== undefined) return { ok: false, why: `/steps/${index}/depends_on: there is no step ${outside}; steps count from 0` };
    steps.push({
      title: (title || text.split('\n', 1)[0]!).slice(0, TITLE_LIMIT_CHARS),
      description: text,
      depends_on: [...new Set(depends_on ?? [])],
      files: (files ?? []).filter(isSafePath),
      tests: wants(tests),
    });
  }
  const cycle = cycleIn(steps);
  if (cycle)
    return { ok: false, why: `the steps wait for each other in a circle: ${cycle.map((i) => `${i} "${steps[i]!.title}"`).join(' -> ')}` };
  return { ok: true, steps };
};

/** The plan in a model's answer. */
export const planIn = (answer: string): PlanResult => {
  const value = jsonIn(answer);
  return value === undefined ? { ok: false, why: 'the answer holds no JSON object' } : planOf(value);
};

const ITEM = /^(\s{0,3})(?:(\d{1,3})[.)]|[-*+])\s+(.+)$/;

/**
 * The plan that a description gives by itself: its first list of at least two items. Numbered: one after the other; bulleted: independent of each other.
 * What stands around the list is said to every step. @returns undefined where there is no such list, or one that is too long.
 */
export const listPlanIn = (description: string): readonly Step[] | undefined => {
  const items: { numbered: boolean; text: string }[] = [];
  const around: string[] = [];
  let fenced = false;
  let indent = 0;
  let ended = false;
  for (const line of description.split(/\r?\n/)) {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    const match = fenced || ended ? null : ITEM.exec(line);
    const current = items.at(-1);
    const numbered = match?.[2] !== undefined;
    if (match && (current === undefined || (current.numbered === numbered && match[1]!.length <= indent))) {
      indent = match[1]!.length;
      items.push({ numbered, text: match[3]!.trim() });
      continue;
    }
    ended ||= items.length > 1 && !fenced && /^\S/.test(line);
    if (current === undefined || ended) around.push(line);
    else if (line.trim() !== '') current.text += `\n${line.trim()}`;
  }
  if (items.length < 2 || items.length > PLAN_LIMIT_STEPS) return undefined;
  const whole = around.join('\n').trim();
  const context = whole === '' ? '' : `\n\nThis is one step of a larger task:\n${whole}`;
  return items.map(({ numbered, text }, index) => ({
    title: text.split('\n', 1)[0]!.slice(0, TITLE_LIMIT_CHARS),
    description: `${text}${context}`.slice(0, STEP_LIMIT_CHARS),
    depends_on: numbered && index > 0 ? [index - 1] : [],
    files: [],
    tests: false,
  }));
};

/**
 * Who answers to the task's tests. Where the plan says nothing, it is the last step, and because the tests are about the whole,
 * it then waits for all others and sees what they made.
 */
export const withTests = (steps: readonly Step[]): readonly Step[] => {
  if (steps.some(({ tests }) => tests)) return steps;
  const last = steps.length - 1;
  // A step that waits for the last one cannot be waited for by it; then the first step that nobody waits for takes its place.
  const waitedFor = new Set(steps.flatMap(({ depends_on }) => depends_on));
  const carrier = waitedFor.has(last) ? steps.findLastIndex((_, index) => !waitedFor.has(index)) : last;
  return steps.map((step, index) =>
    index === carrier ? { ...step, tests: true, depends_on: steps.map((_, i) => i).filter((i) => i !== carrier) } : step,
  );
};
