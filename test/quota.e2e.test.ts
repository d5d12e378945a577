// Budgets under SIGKILL: what is consumed is the sum of what was called, never more than is allowed, and no task is lost. One process on the embedded log, and several on
// Kafka and Redis.
//
// DATS_SEED repeats the choices of a run; DATS_QUOTA_KILLS sets the kills on the embedded log (on Kafka a third of them).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatsEvent, EventOf, EventType, QuotaAccount, TaskView } from '../schemas/index.js';
import { isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { type KilledWorld, killedOnDisk, killedOnKafka } from './support/killed-world.js';
import type { WholeLog } from './support/whole-log.js';

const KILLS = Number(process.env['DATS_QUOTA_KILLS'] ?? 6);
const LIMIT_MS = 180_000;
/** A process lives so long between its start and its SIGKILL, in milliseconds. */
const LIFE_MS = [200, 1_500] as const;
/** Of one attempt. */
const TOKENS = 2_000;
const BUDGET = 120_000;
/** Their attempts would cost more than the budget. */
const TASKS = 90;
const NARROW = 2;
const A_MINUTE = 4;

const rule = (task: string, contents: readonly string[]) => ({
  match: { task },
  answers: contents.map((content) => ({
    files: [{ path: 'data.json', language: 'json', content }],
    latency_ms: [100, 700],
    tokens: { input: TOKENS - 500, output: 500 },
  })),
});
const SCRIPT = JSON.stringify({ version: 1, rules: [rule('Easy', ['{"answer": 42}']), rule('Hard', ['{"answer": 42', '{"answer": 42}'])] });
const CONFIG = {
  quotas: {
    projects: { paid: { tokens_total: BUDGET }, narrow: { concurrency: NARROW } },
    users: { slow: { requests_per_minute: A_MINUTE } },
    task: { calls: 10 },
  },
  scheduling: { max_running_per_project: 10, backoff_base_ms: 20, backoff_max_ms: 100 },
};

const WORLD = { name: 'quota', script: SCRIPT, config: CONFIG, kills: KILLS };

const twice = (keys: readonly string[]): string[] => keys.filter((key, i) => keys.indexOf(key) !== i);

describe.each([
  ['one process on the embedded log', killedOnDisk],
  ['several processes on Kafka and Redis', killedOnKafka],
] as const)('budgets under SIGKILL: %s', (_name, open) => {
  let world: KilledWorld;
  let views: readonly TaskView[];
  let account: QuotaAccount;
  let whole: WholeLog;

  const of = <T extends EventType>(topic: 'dats.lifecycle' | 'dats.quota', type: T): EventOf<T>[] =>
    whole.events.flatMap(({ topic: at, event }) => (at === topic && event.type === type ? [event as unknown as EventOf<T>] : []));

  beforeAll(async () => {
    world = await open(WORLD);
    const submitted: Promise<string>[] = [];
    /** Sent again, with the same key, until it is answered. */
    const submit = (project_id: string, more: object = {}): void => {
      const n = submitted.length;
      const body = { description: `${n % 3 === 0 ? 'Hard' : 'Easy'}\ntask ${n}`, project_id, options: { qa_profile: 'syntax' }, ...more };
      const answer = eventually(`an answer to task ${n}`, LIMIT_MS, async () => {
        const { status, body: said } = await world.ask<{ task_id: string }>('POST', '/api/v1/tasks', body, {
          'idempotency-key': `task ${n}`,
        });
        if (status >= 400) throw new Error(`HTTP ${status}: ${JSON.stringify(said)}`);
        return said.task_id;
      });
      answer.catch(() => undefined);
      submitted.push(answer);
    };
    for (let i = 0; i < 6; i++) submit('narrow');
    for (let i = 0; i < A_MINUTE + 2; i++) submit('free', { submitted_by: 'slow' });
    for (let kill = 0; kill < world.kills; kill++) {
      for (let i = 0; i < Math.ceil(TASKS / world.kills); i++) submit('paid', { submitted_by: 'ada' });
      await new Promise((resolve) => setTimeout(resolve, world.random.int(...LIFE_MS)));
      await world.crash();
    }
    const ids = await Promise.all(submitted);
    views = await eventually('the end of every task', LIMIT_MS, async () => {
      const now = await Promise.all(ids.map((id) => world.ask<TaskView>('GET', `/api/v1/tasks/${id}`)));
      const open = now.filter(({ status, body }) => status !== 200 || !isFinal(body));
      if (open.length > 0) throw new Error(`${open.length} are open, such as ${JSON.stringify(open[0]!.body).slice(0, 500)}`);
      return now.map(({ body }) => body);
    });
    account = await eventually('the account', LIMIT_MS, async () => {
      const { status, body } = await world.ask<QuotaAccount>('GET', '/api/v1/quotas/project/paid');
      return status === 200 && body.running === 0 && body;
    });
    whole = await world.log();
  }, 3 * LIMIT_MS);
  afterAll(() => world?.close());

  it('loses no task and says nothing twice', () => {
    expect(whole.letters).toEqual([]);
    expect(twice(whole.events.map(({ event }) => event.id))).toEqual([]);
    const ends = whole.events.filter(({ event }) => /^dats\.task\.(completed|failed|cancelled)$/.test(event.type));
    expect(twice(ends.map(({ event }) => event.subject))).toEqual([]);
    expect(ends).toHaveLength(views.length);
    const wrong = views.filter(({ state, error }) => state !== 'completed' && error?.code !== 'budget_exceeded');
    expect(wrong).toEqual([]);
  });

  it('consumes what was called, exactly, and never more than is allowed', () => {
    const outputs = of('dats.lifecycle', 'dats.task.output.created').map(({ projectid, data }) => ({
      projectid,
      calls: data.calls ?? [{ input_tokens: data.tokens_in, output_tokens: data.tokens_out }],
    }));
    const failures = of('dats.lifecycle', 'dats.task.attempt.failed').map(({ projectid, data }) => ({
      projectid,
      calls: data.calls ?? [],
    }));
    const calls = [...outputs, ...failures].flatMap((one) => (one.projectid === 'paid' ? one.calls : []));
    const sum = calls.reduce((n, { input_tokens, output_tokens }) => n + input_tokens + output_tokens, 0);
    const consumed = of('dats.quota', 'dats.quota.consumed').filter(({ projectid }) => projectid === 'paid');
    expect(consumed.reduce((n, { data }) => n + data.tokens, 0)).toBe(sum);
    expect(account).toMatchObject({
      used: { total: { tokens: sum } },
      reserved: { tokens: 0, cost_usd: 0 },
      limits: { tokens_total: BUDGET },
    });
    expect(sum).toBeLessThanOrEqual(BUDGET);
    expect(sum).toBeGreaterThan(BUDGET - TOKENS);
    const open = new Map<string, number>();
    let used = 0;
    for (const { topic, event } of whole.events) {
      if (topic !== 'dats.quota' || event.projectid !== 'paid') continue;
      if (event.type === 'dats.quota.reserved') open.set(event.data.reservation_id, event.data.tokens);
      else if (event.type === 'dats.quota.consumed') {
        expect(open.delete(event.data.reservation_id)).toBe(true);
        used += event.data.tokens;
      }
      expect([...open.values()].reduce((n, tokens) => n + tokens, used)).toBeLessThanOrEqual(BUDGET);
    }
    expect(open.size).toBe(0);
    console.info(`${world.kills} kills, ${consumed.length} attempts of ${views.length} tasks: ${sum} of ${BUDGET} tokens`);
  });

  it('settles every reservation once, whoever asked', () => {
    const reserved = of('dats.quota', 'dats.quota.reserved').map(({ data }) => data.reservation_id);
    const consumed = of('dats.quota', 'dats.quota.consumed').map(({ data }) => data.reservation_id);
    expect(twice(reserved)).toEqual([]);
    expect(consumed.sort()).toEqual(reserved.sort());
  });

  it('ends a task that would exceed its budget with the event that says so, and no call after it', () => {
    const failed = views.filter(({ state }) => state === 'failed');
    expect(failed.length).toBeGreaterThan(5);
    for (const { task_id } of failed) {
      const events = whole.events
        .filter(({ topic, event }) => topic === 'dats.lifecycle' && event.subject === task_id)
        .map(({ event }) => event);
      const at = events.findLastIndex(({ type }) => type === 'dats.quota.blocked');
      expect(events[at]?.data).toMatchObject({ subject: { kind: 'project', id: 'paid' }, limit: 'tokens_total', allowed: BUDGET });
      expect((events[at] as EventOf<'dats.quota.blocked'>).data.retry_at).toBeUndefined();
      expect(events.slice(at + 1).map(({ type }) => type)).toEqual(['dats.task.failed']);
      const ready = events.filter((event): event is DatsEvent => event.type === 'dats.task.ready').length;
      const calls = whole.events.filter(({ event }) => event.type === 'dats.model.called' && event.data.task_id === task_id);
      // An attempt that was under way when its process was killed is made again.
      expect(ready === 0 ? calls.length : 0).toBe(0);
    }
  });

  it('lets a rate and a concurrency be waited for: they resolve by themselves', () => {
    const others = views.filter(({ project_id }) => project_id !== 'paid');
    expect(others.map(({ state }) => state)).toEqual(others.map(() => 'completed'));
    const open = new Set<string>();
    for (const { topic, event } of whole.events) {
      if (topic !== 'dats.quota' || event.projectid !== 'narrow') continue;
      if (event.type === 'dats.quota.reserved') open.add(event.data.reservation_id);
      if (event.type === 'dats.quota.consumed') open.delete(event.data.reservation_id);
      expect(open.size).toBeLessThanOrEqual(NARROW);
    }
    const begun = of('dats.quota', 'dats.quota.reserved')
      .filter(({ data }) => data.user === 'slow')
      .map(({ time }) => Date.parse(time));
    for (const time of begun) expect(begun.filter((other) => other > time - 60_000 && other <= time).length).toBeLessThanOrEqual(A_MINUTE);
  });
});
