// `dats replay`: what it asks for, what it shows, how it ends, and how its rules are read.
import { Command } from 'commander';
import { afterEach, describe, expect, it } from 'vitest';
import type { ReplayLane, ReplayReport } from '../../schemas/index.js';
import { openSession } from '../session.js';
import { answerJson, keepIo, openTestServer, type TestServer } from '../testing.js';
import { replay, ruleOf } from './replay.js';

const lane: ReplayLane = {
  tasks: 4,
  completed: 3,
  failed: 1,
  cancelled: 0,
  attempts: 5,
  first_pass_yield: 0.5,
  rejected: 1,
  unanswered: 0,
  tokens_in: 1_234,
  tokens_out: 99,
  cost_usd: 0.5,
  unpriced: 0,
  makespan_ms: 90_000,
  lead_ms_p50: 1_000,
  lead_ms_p95: 2_000,
  by_tier: { small: { attempts: 5, passed: 3, tokens_in: 1, tokens_out: 1, cost_usd: null } },
  by_model: {},
};
const counters = { served: 8, missed: 0, blocked: 0, diverged: 0 };
const report = (verdict: ReplayReport['verdict']): ReplayReport => ({
  version: 1,
  project_id: 'web',
  grade: 'policy',
  slice: {},
  changes: {},
  history: { tasks: 4, submitted: 3, open: 1, events: 40 },
  lanes: { observed: lane, baseline: lane, candidate: { ...lane, cost_usd: 0.25 } },
  counters: { baseline: counters, candidate: { ...counters, served: 6, missed: 2, diverged: 1 } },
  estimates: { outcomes: 2, unseen: 0 },
  cancels: { fired: 1, too_late: 0 },
  comparability: { reproduced: 1, known: 0.75, comparable: true },
  verdict,
  reasons: ['better: cost: $0.50 -> $0.25'],
  summary: `${verdict}: not worse`,
  differences: [{ task_id: 't1', tier: { from: 'large', to: 'small' }, artifacts: 'unknown' }],
  differences_total: 3,
});

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const dats = async (argv: readonly string[], verdict: ReplayReport['verdict']) => {
  const states = ['requested', 'running', 'completed'];
  server = await openTestServer((request, response) => {
    if (request.method === 'POST')
      return answerJson(response, 202, { replay_id: 'r1', project_id: 'web', state: 'requested', grade: 'policy', slice: {} });
    const state = states.shift() ?? 'completed';
    const progress = state === 'running' ? { lane: 'baseline', done: 2, total: 4 } : null;
    answerJson(response, 200, {
      replay_id: 'r1',
      state,
      progress,
      verdict,
      report: state === 'completed' ? report(verdict) : null,
      error: null,
    });
  });
  const io = keepIo({ now: () => Date.parse('2026-11-21T12:00:00.000Z') });
  const options = { url: server.url, json: argv.includes('--json') };
  const session = openSession(io, { loadStartNode: () => Promise.reject(new Error('no node')), sleep: async () => undefined }, options);
  let code = -1;
  const program = new Command().option('--json').exitOverride();
  replay(program, (action) => async (...given) => {
    const command = given.at(-1) as Command;
    code = await action(session, command.args, command.opts());
  });
  await program.parseAsync(argv, { from: 'user' });
  return { code, ...io.printed, body: JSON.parse(server.requests[0]!.body) as unknown };
};

describe('dats replay', () => {
  it('asks for what was said, tells how it goes on, and shows the lanes and the verdict', async () => {
    const argv = ['replay', 'web', '--tier-rule', 'domain=docs -> small', '--from', '24h', '--until', '900', '--max-running', '3'];
    const { code, out, err, body } = await dats(argv, 'hold');
    expect(code).toBe(0);
    expect(body).toEqual({
      project_id: 'web',
      grade: 'policy',
      slice: { from: '2026-11-20T12:00:00.000Z', until: 900 },
      changes: { routing: [{ when: { domain: 'docs' }, tier: 'small' }], max_running: 3 },
    });
    expect(err).toBe('replay r1\nwaiting for a worker\nbaseline: 2 of 4\n');
    expect(out).toContain('cost                  $0.5000        $0.5000        $0.2500\n');
    expect(out).toContain('candidate  6       2       0        1\n');
    expect(out).toContain('t1    tier large -> small, artifacts unknown\n(2 more)\n');
    expect(out).toMatch(/\nhold: not worse\n- better: cost/);
  });

  it('ends with 1 behind a gate, unless the verdict is pass', async () => {
    expect((await dats(['replay', 'web', '--gate'], 'hold')).code).toBe(1);
    await server!.close();
    expect((await dats(['replay', 'web', '--gate'], 'not_comparable')).code).toBe(1);
    await server!.close();
    expect((await dats(['replay', 'web', '--gate'], 'pass')).code).toBe(0);
  });

  it('gives the whole as one JSON document', async () => {
    const { out } = await dats(['--json', 'replay', 'web'], 'pass');
    expect(JSON.parse(out)).toMatchObject({ replay_id: 'r1', report: { verdict: 'pass' } });
  });

  it('calls models only with a budget, and estimates no answers to another prompt', async () => {
    await expect(dats(['replay', 'web', '--generate'], 'pass')).rejects.toMatchObject({ code: 'bad_usage' });
    await server!.close();
    await expect(dats(['replay', 'web', '--max-calls', '5'], 'pass')).rejects.toMatchObject({ code: 'bad_usage' });
    await server!.close();
    const prompted = dats(['replay', 'web', '--prompt-file', 'prompt.txt'], 'pass');
    await expect(prompted).rejects.toMatchObject({ code: 'bad_usage', message: expect.stringMatching(/--generate/) });
  });
});

describe('a rule', () => {
  it('is conditions, an arrow, and a tier or a model', () => {
    expect(ruleOf('domain=docs,tier=large -> small')).toEqual({ when: { domain: 'docs', tier: 'large' }, tier: 'small' });
    expect(ruleOf('complexity<0.4, language=python -> model=qwen-coder')).toEqual({
      when: { complexity_below: 0.4, language: 'python' },
      model: 'qwen-coder',
    });
    expect(ruleOf('complexity>=0.7->large')).toEqual({ when: { complexity_from: 0.7 }, tier: 'large' });
    expect(ruleOf('* -> medium')).toEqual({ when: {}, tier: 'medium' });
  });

  it('that is none is refused with what it should be', () => {
    for (const text of [
      'small',
      'domain=docs ->',
      'colour=red -> small',
      'domain=cooking -> small',
      'tier=small -> enormous',
      'a -> b -> c',
    ])
      expect(() => ruleOf(text), text).toThrow(expect.objectContaining({ code: 'bad_usage' }));
  });
});
