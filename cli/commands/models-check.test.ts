import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openOpenAiServer } from '../../models/testing/openai-server.js';
import type { WireServer } from '../../models/testing/wire-server.js';
import type { Io } from '../io.js';
import { runCli } from '../program.js';
import { type KeptIo, keepIo } from '../testing.js';

const KEY = 'sk-of-the-test';
const deps = { loadStartNode: async () => expect.unreachable('no node is needed') };

describe('dats models check', () => {
  let dir: string;
  let server: WireServer;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dats-check-'));
    server = await openOpenAiServer();
    const at = `runner: openai, base_url: "${server.url}/v1", model: test-model, tiers: [small], context_tokens: 8192`;
    writeFileSync(
      join(dir, 'servers.yaml'),
      `version: 1
models:
  - { id: mine, ${at} }
  - { id: paid, ${at}, api_key_env: PAID_KEY, price_input_per_mtok: 1, price_output_per_mtok: 2 }
  - { id: words, runner: scripted, tiers: [small] }
`,
    );
  });
  afterEach(async () => {
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const check = async (words: string, io: Partial<Io> = {}): Promise<KeptIo['printed'] & { readonly code: number }> => {
    const kept = keepIo({ cwd: dir, env: { PAID_KEY: KEY }, ...io });
    const code = await runCli(['models', 'check', ...words.split(' ')], kept, deps);
    return { code, ...kept.printed };
  };

  it('shows what each check found, and what DATS does where something is missing', async () => {
    const { code, out, err } = await check('mine --only answers,streaming,tools,models,context');
    expect(code).toBe(0);
    expect(out).toMatch(/^CHECK +OUTCOME +EVIDENCE\nanswers +ok +12 characters in .*\nstreaming +ok +3 pieces/);
    expect(out).toMatch(/\ntools +missing +0 calls/);
    expect(out).toContain('What DATS does about it:\n  tools (missing): its own work needs none');
    expect(out).toContain('mine does what DATS needs.');
    expect(err).toContain('checking answers: a short question\nchecking streaming: ');
  });

  it('ends with 1 when what DATS needs does not work, and says what was not tried', async () => {
    server.behaviour = 'error';
    const { code, out } = await check('mine');
    expect(code).toBe(1);
    expect(out).toMatch(/answers +failed +model_error/);
    expect(out).toContain('Not checked, as it does not answer: streaming, ');
    expect(out).toContain('mine does not do what DATS needs.');
  });

  it('prints one document with --json', async () => {
    const { code, out, err } = await check('words --only answers,residency --json');
    expect(code).toBe(0);
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({
      model: 'words',
      runner: 'scripted',
      ok: true,
      checks: [
        { name: 'answers', outcome: 'ok', needed: true },
        { name: 'residency', outcome: 'missing', dats: expect.any(String) },
      ],
      not_made: [],
    });
  });

  it.each([
    ['another', 'no model "another" in', 'it has: mine, paid, words'],
    ['mine --only streaming,speed', 'no check "speed"', 'there are: answers, streaming, '],
  ])('refuses "%s", and says what there is', async (words, ...said) => {
    const { code, out, err } = await check(words);
    expect([code, out]).toEqual([2, '']);
    for (const text of said) expect(err).toContain(text);
  });

  it('makes no call that is paid for before it was said how many there are', async () => {
    const unasked = await check('paid --only answers,overflow');
    expect(unasked.code).toBe(2);
    expect(unasked.err).toContain('at most 6 calls with 300 tokens together, some 0.00060 USD, which PAID_KEY pays for; give --yes');
    const questions: string[] = [];
    const ask = async (question: string) => {
      questions.push(question);
      return 'n';
    };
    expect(await check('paid --only answers', { ask })).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('nothing was asked'),
    });
    expect(questions).toEqual([expect.stringContaining('at most 3 calls')]);
    expect(server.requests).toEqual([]);
    const { code, out, err } = await check('paid --only answers,overflow --yes');
    expect(code).toBe(0);
    expect(err).toContain('checking paid: at most 6 calls');
    expect(out).toMatch(/overflow +partly +not tried: it would be paid for/);
    expect(server.requests).toHaveLength(1);
    expect(server.authorizations).toEqual([`Bearer ${KEY}`]);
    expect(out + err).not.toContain(KEY);
  });

  it('says which variable is missing', async () => {
    const { code, err } = await check('paid --yes', { env: {} });
    expect(code).toBe(2);
    expect(err).toContain('the environment variable PAID_KEY is not set');
  });
});
