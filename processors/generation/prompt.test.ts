import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filesIn } from './answer.js';
import { CHARS_PER_TOKEN, type PromptInput, promptOf } from './prompt.js';

const input = (more: Partial<PromptInput> = {}): PromptInput => ({
  description: 'Write slugify',
  mode: 'new_project',
  language: 'python',
  files: [],
  inputs: [],
  tests: undefined,
  previous: undefined,
  ...more,
});
const user = (more: Partial<PromptInput>, budget?: number) => promptOf(input(more), budget).messages[1]!.content;

describe('a prompt', () => {
  it('states the form of the answer, which the parser reads', () => {
    const { messages, version } = promptOf(input());
    expect(version).toBe('generate@1');
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user']);
    expect(filesIn(messages[0]!.content, { finish_reason: 'stop' })).toEqual({
      ok: true,
      files: [{ path: 'src/slug.py', content: 'the whole file\n' }],
    });
    expect(messages[1]!.content).toContain('Write slugify');
    expect(messages[1]!.content).toContain('Language: python');
  });

  it('shows files, results and the last attempt, and why that was rejected', () => {
    const text = user({
      mode: 'fix',
      files: [{ path: 'a.py', content: 'a = 1\n' }],
      inputs: [{ path: 'b.py', content: 'b = 2\n' }],
      previous: { reasons: ['test_slug failed: expected "a-b"'], files: [{ path: 'c.py', content: 'c = 3\n' }] },
    });
    const order = ['Write slugify', 'test_slug failed', 'path=a.py', 'path=b.py', 'path=c.py'].map((part) => text.indexOf(part));
    expect(order.every((at, i) => at > (order[i - 1] ?? -1))).toBe(true);
  });

  it('names what the tests call, and not their code', () => {
    expect(user({ tests: { language: 'python', entry_point: 'slugify' } })).toContain('`slugify` at the top level, in solution.py');
    expect(user({ tests: { language: 'python', entry_point: 'slugify', path: 'tests/t.py' } })).not.toContain('solution.py');
  });

  it('has a digest that follows from what is said', () => {
    expect(promptOf(input()).sha256).toBe(promptOf(input()).sha256);
    expect(promptOf(input({ mode: 'fix' })).sha256).not.toBe(promptOf(input()).sha256);
  });

  it('leaves out what does not fit, smaller files still going in, and says so', () => {
    const { omitted, messages } = promptOf(
      input({
        files: [
          { path: 'large.py', content: 'x'.repeat(5_000) },
          { path: 'small.py', content: 'y' },
        ],
        previous: { reasons: ['no'], files: [{ path: 'old.py', content: 'z'.repeat(9_000) }] },
      }),
      1_000,
    );
    expect(omitted.map(({ what }) => what)).toEqual(['file large.py', "end of the last attempt's old.py", "last attempt's old.py"]);
    expect(omitted[0]!.why).toMatch(/do not fit into the \d+ that are left/);
    expect(messages[1]!.content).toContain('path=small.py');
    expect(messages[1]!.content).not.toContain('path=large.py');
  });

  it('cuts a description that would take the whole budget', () => {
    const { omitted, messages } = promptOf(input({ description: 'd'.repeat(50_000) }), 1_000);
    expect(omitted.map(({ what }) => what)).toEqual(['end of the description']);
    expect(messages[1]!.content).toMatch(/characters left out/);
  });

  it('stays near its budget whatever it is made of', () => {
    const file = fc.record({
      path: fc.constantFrom('a.py', 'b.md', 'c.txt'),
      content: fc.integer({ min: 0, max: 30_000 }).map((n) => '`x\n'.repeat(n / 3)),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 10_000 }),
        fc.nat(60_000),
        fc.array(file, { maxLength: 6 }),
        fc.array(fc.string(), { maxLength: 5 }),
        (budget, length, files, reasons) => {
          const { messages } = promptOf(
            input({ description: 'd'.repeat(length), files, inputs: files, previous: { reasons, files } }),
            budget,
          );
          const chars = messages.reduce((sum, { content }) => sum + content.length, 0);
          // Headings and notes of what was cut are not counted against the budget.
          expect(chars).toBeLessThan(budget * CHARS_PER_TOKEN + 600);
        },
      ),
      { numRuns: 100 },
    );
  });
});
