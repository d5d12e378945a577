// Finds the answer for a request: the first rule whose every condition holds. Pure and stateless, so a redelivered request gets the same answer.
import { TIERS, type Tier } from '../../schemas/index.js';
import type { GenerateRequest } from '../runner.js';
import { type ReadyAnswer, readyAnswer } from './answers.js';
import type { Rule, Script } from './script.js';

/** `[script:NAME]` in a task's description chooses the rules for the task NAME. */
const MARKER = /\[script:([\w.:/-]{1,128})\]/;

type Hints = Readonly<Record<string, string | number>>;
type Condition = (hints: Hints, prompt: () => string) => boolean;

const asList = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);

const conditionsOf = ({ match }: Rule): readonly Condition[] => {
  const conditions: Condition[] = [];
  for (const name of ['purpose', 'tier', 'attempt'] as const) {
    const wanted = match[name];
    if (wanted === undefined) continue;
    const values: ReadonlySet<string | number> = new Set(asList<string | number>(wanted));
    conditions.push((hints) => hints[name] !== undefined && values.has(hints[name]));
  }
  if (match.task !== undefined) {
    const names: ReadonlySet<string | number | undefined> = new Set(asList(match.task));
    conditions.push((hints, prompt) => names.has(hints.task) || names.has(MARKER.exec(prompt())?.[1]));
  }
  if (match.contains !== undefined) {
    const parts = asList(match.contains);
    conditions.push((_, prompt) => parts.every((part) => prompt().includes(part)));
  }
  if (match.regex !== undefined) {
    const regex = new RegExp(match.regex, 'su');
    conditions.push((_, prompt) => regex.test(prompt()));
  }
  return conditions;
};

/** The answers of a rule by tier, complete: nearest lower, then nearest higher. */
const tierAnswers = (byTier: NonNullable<Rule['by_tier']>): ReadonlyMap<Tier, ReadyAnswer> => {
  const ready = TIERS.map((tier) => byTier[tier] && readyAnswer(byTier[tier]));
  const nearest = (i: number): ReadyAnswer | undefined =>
    ready.slice(0, i + 1).findLast((a) => a !== undefined) ?? ready.slice(i).find((a) => a !== undefined);
  return new Map(TIERS.flatMap((tier, i) => [[tier, nearest(i)!] as const]));
};

const pickerOf = (rule: Rule): ((hints: Hints) => ReadyAnswer) => {
  if (rule.by_tier !== undefined) {
    const answers = tierAnswers(rule.by_tier);
    const lowest = answers.get(TIERS[0])!;
    return (hints) => answers.get(hints.tier as Tier) ?? lowest;
  }
  const answers = rule.answers!.map(readyAnswer);
  return (hints) => answers[Math.min(Math.max(Number(hints.attempt ?? 1), 1), answers.length) - 1]!;
};

const NO_HINTS: Hints = {};

const promptOf = (request: GenerateRequest): string => request.messages.map((message) => message.content).join('\n');

/** @returns a function that gives the scripted answer for a request, or undefined where no rule matches. */
export const openRules = (script: Script): ((request: GenerateRequest) => ReadyAnswer | undefined) => {
  const rules = script.rules.map((rule) => ({ conditions: conditionsOf(rule), pick: pickerOf(rule) }));
  return (request) => {
    const hints = request.hints ?? NO_HINTS;
    let joined: string | undefined;
    const prompt = (): string => {
      joined ??= promptOf(request);
      return joined;
    };
    for (const { conditions, pick } of rules) if (conditions.every((holds) => holds(hints, prompt))) return pick(hints);
    return undefined;
  };
};
