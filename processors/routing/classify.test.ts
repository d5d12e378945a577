import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENTS, TIERS } from '../../schemas/index.js';
import { analysisOf, classify } from './classify.js';
import { estimateOf } from './estimate.js';
import { type Material, SCAN_LIMIT_CHARS, signalsOf } from './signals.js';

const material = (description: string, more: Partial<Material> = {}): Material => ({
  description,
  description_bytes: Buffer.byteLength(description),
  files: [],
  inputs: 0,
  options: {},
  ...more,
});
const of = (description: string, more: Partial<Material> = {}) => classify(signalsOf(material(description, more)));

describe('the cheap signals', () => {
  it.each([
    ['Fix the failing test in parser.py', 'fix', 'code', 'python'],
    ['Write unit tests for src/slug.ts', 'test', 'test', 'typescript'],
    ['Document the API in README.md', 'document', 'docs', 'markdown'],
    ['Review this Python code for security problems', 'review', 'code', 'python'],
    ['Write a function that adds two integers in JavaScript', 'new_project', 'code', 'javascript'],
    ['Build a React page with a REST endpoint and a login form', 'new_project', 'web', 'javascript'],
    ['Write a Dockerfile and a Helm chart to deploy it to Kubernetes', 'new_project', 'infra', undefined],
    ['Load the CSV into a SQL table and aggregate its columns', 'new_project', 'data', undefined],
  ])('%s', (description, mode, domain, language) => {
    expect(of(description)).toMatchObject({ mode, domain, language });
  });

  it('take given files for something to change', () => {
    expect(of('Make the output faster', { files: [{ path: 'src/a.ts', bytes: 900 }] })).toMatchObject({
      mode: 'modify',
      language: 'typescript',
    });
  });

  it('trust the language of the tests', () => {
    expect(of('def add(a, b):', { tests: { language: 'python', bytes: 10 } })).toMatchObject({ language: 'python', domain: 'code' });
  });

  it('send harder tasks to higher tiers', () => {
    const easy = of('Write a simple function that reverses a string in Python');
    const hard = of(
      'Design a distributed scheduler engine with consensus: concurrent workers, lock-free queues, deadlock detection, encrypted transport with JWT auth, transactions and a migration system.\n1. protocol\n2. engine\n3. storage\n4. recovery\n5. benchmark',
    );
    expect(easy.tier).toBe('small');
    expect(hard.tier).toBe('large');
    expect(hard.complexity).toBeGreaterThan(easy.complexity);
  });

  it('are unsure about what is vague, short or unread', () => {
    expect(of('hello').confidence).toBeLessThan(0.4);
    expect(of('improve stuff').confidence).toBeLessThan(0.4);
    expect(classify(signalsOf({ ...material(''), description: undefined, description_bytes: 90_000 })).confidence).toBeLessThan(0.4);
    expect(of('Write a Python function that returns the sum of a list of numbers').confidence).toBeGreaterThan(0.6);
  });

  it('give way to the tier that was asked for, and keep the scores', () => {
    const made = of('Write a simple Python function', { options: { tier: 'large' } });
    expect(made.tier).toBe('large');
    expect(made.candidates[0]!.tier).toBe('small');
  });

  it('look at no more than the beginning of a long description', () => {
    const features = signalsOf(material(`Fix the bug. ${'x '.repeat(SCAN_LIMIT_CHARS)} docker kubernetes`));
    expect(features).toMatchObject({ lead: 'fix', scanned_chars: SCAN_LIMIT_CHARS });
    expect(features.infra).toBeUndefined();
  });

  it('count whole words without case', () => {
    expect(signalsOf(material('PYTHON pythonic (python)')).python).toBe(2);
  });

  it('take any text, and give a valid analysis that can be made again from its features', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.lorem(),
      fc.array(fc.constantFrom('fix', 'python', '- a', '1. b', '```', 'maybe', '\n', '?', 'docker')).map((w) => w.join(' ')),
    );
    fc.assert(
      fc.property(texts, fc.option(fc.constantFrom(...TIERS)), fc.nat(300), (text, tier, files) => {
        const given = material(text, {
          options: tier === null ? {} : { tier },
          files: Array.from({ length: files }, (_, i) => ({ path: `f${i}.py`, bytes: i })),
        });
        const features = signalsOf(given);
        const made = classify(features);
        const analysis = analysisOf(made, features, 0);
        expect(EVENTS['dats.task.analyzed'][1].safeParse({ task_id: 't', ...analysis }).error).toBeUndefined();
        expect(classify(JSON.parse(JSON.stringify(features)))).toEqual(made);
      }),
      { numRuns: 200 },
    );
  });
});

describe('an estimate', () => {
  it('follows from tokens, tier and the time it is made at', () => {
    expect(estimateOf('small', 1000, 0, { small: 1000, medium: 1, large: 1 })).toEqual({
      estimated_duration_ms: 1050,
      estimated_completion: '1970-01-01T00:00:01.050Z',
    });
    expect(estimateOf('large', 1000, 0).estimated_duration_ms).toBeGreaterThan(estimateOf('small', 1000, 0).estimated_duration_ms);
  });
});
