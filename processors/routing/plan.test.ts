import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonIn } from './json-answer.js';
import { cycleIn, listPlanIn, PLAN_LIMIT_STEPS, planIn, planOf, withTests } from './plan.js';

const step = (title: string, ...depends_on: number[]) => ({ title, description: `do ${title}`, depends_on });
const whyNot = (value: unknown): string => {
  const result = planOf(value);
  return result.ok ? '' : result.why;
};

describe('a plan in an answer', () => {
  const plan = JSON.stringify({ steps: [step('model'), { ...step('api', 0), files: ['src/api.ts', '../../etc/passwd'], tests: true }] });

  it.each([
    ['alone', plan],
    ['in a fence', `Here it is:\n\`\`\`json\n${plan}\n\`\`\`\nGood luck!`],
    ['in prose with braces', `With {care} I suggest ${plan} and {more}.`],
  ])('is found %s', (_, answer) => {
    expect(planIn(answer)).toEqual({
      ok: true,
      steps: [
        { title: 'model', description: 'do model', depends_on: [], files: [], tests: false },
        { title: 'api', description: 'do api', depends_on: [0], files: ['src/api.ts'], tests: true },
      ],
    });
  });

  it('is refused in words', () => {
    expect(planIn('I cannot do that')).toEqual({ ok: false, why: 'the answer holds no JSON object' });
    expect(whyNot({ steps: [] })).toMatch(/^\/steps: /);
    expect(whyNot({ steps: Array.from({ length: PLAN_LIMIT_STEPS + 1 }, () => step('x')) })).toMatch(/at most 20 steps/);
    expect(whyNot({ steps: [{ title: ' ' }] })).toMatch(/neither title nor description/);
    expect(whyNot({ steps: [step('a', 1)] })).toMatch(/there is no step 1/);
    expect(whyNot({ steps: [{ title: 'a', description: 'x'.repeat(8_001) }] })).toMatch(/at most 8000/);
  });

  it('names the steps of a cycle', () => {
    expect(whyNot({ steps: [step('a'), step('b', 3), step('c', 1), step('d', 2)] })).toBe(
      'the steps wait for each other in a circle: 1 "b" -> 3 "d" -> 2 "c" -> 1 "b"',
    );
    expect(whyNot({ steps: [step('self', 0)] })).toContain('0 "self" -> 0 "self"');
  });

  it('never throws, and what it accepts has no cycle', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc
            .array(fc.array(fc.nat(6), { maxLength: 4 }), { maxLength: 7 })
            .map((d) => JSON.stringify({ steps: d.map((on, i) => step(`${i}`, ...on)) })),
        ),
        (answer) => {
          const result = planIn(answer);
          if (!result.ok) {
            expect(result.why).not.toBe('');
            return;
          }
          const order = new Map<number, number>();
          for (let round = 0; order.size < result.steps.length && round < result.steps.length; round++)
            result.steps.forEach((each, i) => {
              if (!order.has(i) && each.depends_on.every((before) => order.has(before))) order.set(i, round);
            });
          expect(order.size).toBe(result.steps.length);
          expect(cycleIn(result.steps)).toBeUndefined();
        },
      ),
    );
  });

  it('is looked for with bounded effort', () => {
    expect(jsonIn('{'.repeat(100_000))).toBeUndefined();
  });
});

describe('the plan of a description', () => {
  it('is a chain where the list is numbered, and says to every step what stands around it', () => {
    const steps = listPlanIn('Build a shop.\n\n1. Tables\n   with keys\n2) The API\n3. The page\n\nEverything in TypeScript.')!;
    expect(steps.map(({ title, depends_on }) => [title, depends_on])).toEqual([
      ['Tables', []],
      ['The API', [0]],
      ['The page', [1]],
    ]);
    expect(steps[0]!.description).toBe(
      'Tables\nwith keys\n\nThis is one step of a larger task:\nBuild a shop.\n\nEverything in TypeScript.',
    );
  });

  it('has independent steps where the list is bulleted', () => {
    expect(listPlanIn('- one\n  - detail\n- two\n* three')!.map(({ title, depends_on }) => [title, depends_on])).toEqual([
      ['one', []],
      ['two', []],
      ['three', []],
    ]);
  });

  it('is not there without a list of two items, in code, or beyond the limit', () => {
    expect(listPlanIn('Just do it')).toBeUndefined();
    expect(listPlanIn('- only one')).toBeUndefined();
    expect(listPlanIn('```\n- a\n- b\n```')).toBeUndefined();
    expect(listPlanIn(Array.from({ length: 21 }, (_, i) => `${i + 1}. x`).join('\n'))).toBeUndefined();
  });
});

describe('the tests of a task', () => {
  it('go where the plan says', () => {
    const steps = listPlanIn('1. a\n2. b')!.map((each, i) => ({ ...each, tests: i === 0 }));
    expect(withTests(steps)).toEqual(steps);
  });

  it('go to the last step otherwise, which then waits for all others', () => {
    expect(withTests(listPlanIn('- a\n- b\n- c')!).map(({ tests, depends_on }) => [tests, depends_on])).toEqual([
      [false, []],
      [false, []],
      [true, [0, 1]],
    ]);
  });

  it('make no cycle where others wait for the last step', () => {
    const result = planOf({ steps: [step('a', 2), step('b'), step('c')] });
    const steps = withTests(result.ok ? result.steps : []);
    expect(cycleIn(steps)).toBeUndefined();
    expect(steps.map(({ tests }) => tests)).toEqual([false, true, false]);
  });
});
