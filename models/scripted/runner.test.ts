import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RunnerUnderTest, runnerContract } from '../runner.contract.js';
import type { GenerateChunk, GenerateRequest, ModelRunner } from '../runner.js';
import { manualClock } from '../testing/manual-clock.js';
import type { Behaviour } from '../testing/wire-server.js';
import { fenced } from './answers.js';
import { DIMENSIONS, embedding } from './embedding.js';
import { openScripted } from './runner.js';
import { parseScript, type Script } from './script.js';

const { signal } = new AbortController();
const script = (rules: readonly object[]): Script => parseScript({ version: 1, rules }, 'test.yaml');
const ask = (content: string, hints?: GenerateRequest['hints']): GenerateRequest => ({
  messages: [{ role: 'user', content }],
  ...(hints === undefined ? {} : { hints }),
});
const say = async (runner: ModelRunner, request: GenerateRequest): Promise<string> => {
  let text = '';
  for await (const chunk of runner.generate(request, signal)) if (chunk.kind === 'text') text += chunk.text;
  return text;
};

const ANSWER = { text: 'Hello, world', chunk_chars: 5, tokens: { input: 11, output: 3 } };
const SCRIPTED: Readonly<Record<Behaviour | 'unreachable', object>> = {
  answer: ANSWER,
  length: { ...ANSWER, finish_reason: 'length' },
  unmetered: { text: 'Hello, world' },
  slow: { ...ANSWER, fail: 'hang' },
  hang: { fail: 'hang' },
  loading: ANSWER,
  garbage: { ...ANSWER, fail: 'garbage' },
  truncated: { ...ANSWER, fail: 'garbage' },
  die_mid_stream: { ...ANSWER, fail: 'die_mid_stream' },
  refuse: { fail: 'refuse' },
  stream_error: { fail: 'error' },
  overloaded: { fail: 'overloaded', retry_after_ms: 7_000 },
  overloaded_until: { fail: 'overloaded', retry_after_ms: 30_000 },
  error: { fail: 'error' },
  reject: { fail: 'reject' },
  missing: { fail: 'missing' },
  unreachable: { fail: 'unreachable' },
  tool_calls: { text: 'H', tool_calls: [{ name: 'add', arguments: { a: 1 } }, { name: 'sub' }] },
  repeated: ANSWER,
  after_end: { fail: 'garbage' },
  empty: { fail: 'garbage' },
  wrong_type: { fail: 'garbage' },
  overloaded_silent: { fail: 'overloaded' },
  bad_request: { fail: 'reject' },
  too_long: { fail: 'too_long' },
  redirect: { fail: 'unreachable' },
  proxy: { fail: 'unreachable' },
};

runnerContract('scripted', async (behaviour, limits): Promise<RunnerUnderTest> => {
  const runner = openScripted({ id: 'test-model', script: script([{ answers: [SCRIPTED[behaviour]] }]), ...limits });
  return { runner, stuck: () => new Promise((resolve) => setImmediate(resolve)), close: async () => {} };
});

describe('scripted answers', () => {
  it('finds the first rule whose every condition holds', async () => {
    const runner = openScripted({
      id: 's',
      script: script([
        { match: { task: 'slug', purpose: 'generate' }, answers: [{ text: 'slug' }] },
        { match: { contains: ['red', 'blue'] }, answers: [{ text: 'both' }] },
        { match: { regex: 'gre+n.*line' }, answers: [{ text: 'regex' }] },
        { match: { tier: ['medium', 'large'], attempt: 2 }, answers: [{ text: 'second try' }] },
      ]),
    });
    expect(await say(runner, ask('x', { task: 'slug', purpose: 'generate' }))).toBe('slug');
    expect(await say(runner, ask('red and blue'))).toBe('both');
    expect(await say(runner, ask('greeen\nline'))).toBe('regex');
    expect(await say(runner, ask('x', { tier: 'large', attempt: 2 }))).toBe('second try');
    for (const request of [ask('x', { task: 'slug', purpose: 'analyse' }), ask('red'), ask('x', { tier: 'small', attempt: 2 })])
      expect(await say(runner, request)).toContain('no model was asked');
  });

  it('finds a rule by the marker in the description', async () => {
    const runner = openScripted({ id: 's', script: script([{ match: { task: 'slug' }, answers: [{ text: 'marked' }] }]) });
    expect(await say(runner, ask('Write it. [script:slug] Thanks.'))).toBe('marked');
    expect(await say(runner, ask('Write it. [script:slugs]'))).toContain('placeholder');
  });

  it('answers by attempt, the last one repeating, and by tier, the nearest one standing in', async () => {
    const runner = openScripted({
      id: 's',
      script: script([
        { match: { task: 'a' }, answers: [{ text: '1' }, { text: '2' }] },
        { match: { task: 'b' }, by_tier: { medium: { text: 'M' } } },
        { match: { task: 'c' }, by_tier: { small: { text: 'S' }, large: { text: 'L' } } },
      ]),
    });
    const byAttempt = await Promise.all([0, 1, 2, 9].map((attempt) => say(runner, ask('x', { task: 'a', attempt }))));
    expect(byAttempt).toEqual(['1', '1', '2', '2']);
    const byTier = async (task: string) => Promise.all(['small', 'medium', 'large'].map((tier) => say(runner, ask('x', { task, tier }))));
    expect(await byTier('b')).toEqual(['M', 'M', 'M']);
    expect(await byTier('c')).toEqual(['S', 'S', 'L']);
  });

  it('writes files in the answer format, with a fence that their content cannot end', async () => {
    const content = 'before\n````js\ncode\n````\n';
    const files = [{ path: 'docs/a.md', language: 'markdown', content }];
    const runner = openScripted({ id: 's', script: script([{ answers: [{ text: 'Here.', files }] }]) });
    expect(await say(runner, ask('x'))).toBe(`Here.\n\n\`\`\`\`\`markdown path=docs/a.md\n${content}\`\`\`\`\`\n`);
    expect(fenced('a.py', 'python', 'x = 1')).toBe('```python path=a.py\nx = 1\n```\n');
  });

  it('calls tools as its rules say, after its text', async () => {
    const tool_calls = [
      { name: 'add', arguments: { a: 1 } },
      { name: 'odd', arguments: 'no JSON' },
    ];
    const runner = openScripted({
      id: 's',
      script: script([
        {
          answers: [
            { text: 'So:', tool_calls },
            { tool_calls, finish_reason: 'length' },
          ],
        },
      ]),
    });
    const chunks: GenerateChunk[] = [];
    for await (const chunk of runner.generate(ask('x'), signal)) chunks.push(chunk);
    expect(chunks).toEqual([
      { kind: 'text', text: 'So:' },
      { kind: 'tool_call', index: 0, id: 'call_0', name: 'add', arguments: '{"a":1}' },
      { kind: 'tool_call', index: 1, id: 'call_1', name: 'odd', arguments: 'no JSON' },
      expect.objectContaining({ kind: 'done', finish_reason: 'tool_calls', output_tokens: 6 }),
    ]);
    let last: GenerateChunk | undefined;
    for await (const chunk of runner.generate(ask('x', { attempt: 2 }), signal)) last = chunk;
    expect(last).toMatchObject({ finish_reason: 'length' });
  });

  it('answers without a rule by a placeholder that says so, in the form that was asked for', async () => {
    const runner = openScripted({ id: 's' });
    expect(await say(runner, ask('x'))).toMatch(/^```markdown path=PLACEHOLDER\.md\n[\s\S]*no model was asked[\s\S]*\n```\n$/m);
    expect(JSON.parse(await say(runner, { ...ask('x'), json: true }))).toMatchObject({ scripted: true });
  });

  it('waits as the script says, with ranges decided by the given random', async () => {
    const clock = manualClock();
    const runner = openScripted({
      id: 's',
      clock,
      random: () => 0.5,
      script: script([{ answers: [{ text: 'abcd', chunk_chars: 2, latency_ms: [100, 300], chunk_latency_ms: 50 }] }]),
    });
    const arrivals: [string, number][] = [];
    const reading = (async () => {
      for await (const chunk of runner.generate(ask('x'), signal)) arrivals.push([chunk.kind, clock.now()]);
    })();
    let done = false;
    void reading.then(() => {
      done = true;
    });
    while (!done) {
      clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(arrivals).toEqual([
      ['text', 200],
      ['text', 250],
      ['done', 250],
    ]);
    expect(clock.pending()).toBe(0);
  });

  it('sets no timer for an instant answer', async () => {
    const clock = manualClock();
    const counted = { ...clock, after: () => expect.unreachable('a timer was set') };
    expect(await say(openScripted({ id: 's', clock: counted }), ask('x'))).toContain('Placeholder');
  });

  it('cuts chunks that together are the text and never split a character', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (text, chunk_chars) => {
        const chunks: GenerateChunk[] = [];
        const runner = openScripted({ id: 's', script: script([{ answers: [{ text, chunk_chars }] }]) });
        for await (const chunk of runner.generate(ask('x'), signal)) chunks.push(chunk);
        const texts = chunks.flatMap((c) => (c.kind === 'text' ? [c.text] : []));
        expect(texts.join('')).toBe(text);
        for (const piece of texts) expect(() => encodeURIComponent(piece)).not.toThrow();
      }),
      { numRuns: 50 },
    );
  });

  it('embeds into unit vectors where shared words mean nearness', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const vector = embedding(text);
        expect(vector).toHaveLength(DIMENSIONS);
        expect(Math.hypot(...vector)).toBeCloseTo(1, 9);
        expect(embedding(text)).toEqual(vector);
      }),
    );
    const dot = (a: string, b: string) => embedding(a).reduce((sum, x, i) => sum + x * embedding(b)[i]!, 0);
    expect(dot('parse the config file', 'parse a config file')).toBeGreaterThan(dot('parse the config file', 'green apples taste sour'));
  });
});
