import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DataOf, serversSchema } from '../../schemas/index.js';
import { openFold, openRebuild } from '../host/index.js';
import { fixed } from '../policies.js';
import { BUILT_IN_PROMPTS, changedPrompt } from '../prompt-versions.js';
import { analysis, creation, openWorld, output, SOURCE, type World } from '../testing/pipeline-world.js';
import { schedulingDecider } from './decider.js';

const policy = (change: Partial<ReturnType<typeof serversSchema.parse>['scheduling']> = {}) => ({
  ...serversSchema.parse({ version: 1 }).scheduling,
  max_running_per_project: 2,
  backoff_base_ms: 100,
  timeout_s: 10,
  max_attempts: 3,
  ...change,
});
const worldOf = (p = policy()) => openWorld(() => [schedulingDecider(fixed(p)) as never]);

const submit = (world: World, id: string, details: Partial<DataOf<'dats.task.created'>> = {}, project = 'p') => {
  world.append('dats.task.created', creation(id, { options: { qa_profile: 'none' }, ...details }), project);
  world.append('dats.task.analyzed', analysis(id), project);
  world.step();
};
const answer = (world: World, id: string, attempt = 1, project = 'p') => {
  world.append('dats.task.output.created', output({ task_id: id, attempt }), project);
  world.step();
};

describe('scheduling', () => {
  it('runs a task to its end: ready, output, verdict, completed, each once', () => {
    const world = worldOf();
    submit(world, 'a');
    expect(world.work.map((w) => [w.data.kind, w.data.attempt])).toEqual([['generate', 1]]);
    answer(world, 'a');
    expect(world.types('a')).toEqual([
      'dats.task.created',
      'dats.task.analyzed',
      'dats.task.ready',
      'dats.task.output.created',
      'dats.task.validated',
      'dats.task.completed',
    ]);
    answer(world, 'a');
    expect(world.terminals('a')).toEqual(['dats.task.completed']);
    expect(world.saved.has('scheduling/t/a')).toBe(false);
  });

  it('asks for a check where the profile has one, and completes on its verdict only', () => {
    const world = worldOf();
    submit(world, 'a', { options: { qa_profile: 'syntax' } });
    answer(world, 'a');
    const check = world.work[1]!.data;
    expect([check.kind, check.qa_profile, check.context.output]).toEqual(['check', 'syntax', 3]);
    world.append('dats.task.validated', { task_id: 'a', attempt: 1, profile: 'syntax', checks: [], score: 1 });
    world.step();
    expect(world.terminals('a')).toEqual(['dats.task.completed']);
  });

  it('a rejected answer is tried again on a higher tier after its backoff, and fails after the last attempt with the reason', () => {
    const world = worldOf();
    submit(world, 'a', { options: { qa_profile: 'syntax' } });
    for (const attempt of [1, 2, 3]) {
      answer(world, 'a', attempt);
      world.append('dats.task.rejected', {
        task_id: 'a',
        attempt,
        profile: 'syntax',
        checks: [],
        score: 0,
        reasons: [`wrong ${attempt}`],
        retryable: true,
      });
      world.step();
      world.now += 1_000;
      world.step();
    }
    expect(world.work.filter((w) => w.data.kind === 'generate').map((w) => w.data.tier)).toEqual(['small', 'medium', 'large']);
    const failed = world.log.at(-1)!;
    expect([failed.type, JSON.parse(String(failed.value)).error.message]).toEqual(['dats.task.failed', 'after 3 attempts: wrong 3']);
  });

  it('a retry waits for its backoff and not longer', () => {
    const world = worldOf();
    submit(world, 'a');
    world.append('dats.task.attempt.failed', {
      task_id: 'a',
      attempt: 1,
      stage: 'generation',
      error: { code: 'model_error', message: 'boom', retryable: true },
    });
    world.step();
    const scheduled = JSON.parse(String(world.log.at(-1)!.value)) as DataOf<'dats.task.retry.scheduled'>;
    expect(scheduled.tier).toBe('small');
    expect(scheduled.backoff_ms).toBeGreaterThanOrEqual(50);
    world.now = Date.parse(scheduled.due) - 1;
    world.step();
    expect(world.work).toHaveLength(1);
    world.now += 20;
    world.step();
    expect(world.work.map((w) => w.data.attempt)).toEqual([1, 2]);
  });

  it('at most the limit of a project runs; then priority decides, then age; another project is not held up', () => {
    const world = worldOf();
    for (const id of ['a', 'b', 'c', 'd']) submit(world, id);
    submit(world, 'e', { priority: 'urgent', options: { qa_profile: 'none' } });
    submit(world, 'other', {}, 'q');
    expect(world.work.map((w) => w.data.task_id)).toEqual(['a', 'b', 'other']);
    for (const id of ['a', 'b', 'e', 'c']) answer(world, id);
    expect(world.work.map((w) => w.data.task_id)).toEqual(['a', 'b', 'other', 'e', 'c', 'd']);
  });

  it('a task waits for all it depends on and gets their artifacts as inputs', () => {
    const world = worldOf();
    submit(world, 'a');
    submit(world, 'b');
    submit(world, 'c', { depends_on: ['a', 'b'], options: { qa_profile: 'none' } });
    answer(world, 'a');
    expect(world.work.map((w) => w.data.task_id)).toEqual(['a', 'b']);
    answer(world, 'b');
    expect(world.work[2]!.data.context.inputs.map((ref) => ref.task_id)).toEqual(['a', 'b']);
  });

  it('what depends on a task that fails or is cancelled fails too, whether it came before or after', () => {
    const world = worldOf();
    submit(world, 'a');
    submit(world, 'b', { depends_on: ['a'] });
    world.append('dats.task.cancel.requested', { task_id: 'a', reason: 'no more', by: 'me' });
    world.step();
    submit(world, 'c', { depends_on: ['a'] });
    expect([world.terminals('a'), world.terminals('b'), world.terminals('c')]).toEqual([
      ['dats.task.cancelled'],
      ['dats.task.failed'],
      ['dats.task.failed'],
    ]);
  });

  it('a cancelled task stays cancelled though its output comes later, in every stage, and frees its place', () => {
    for (const stage of ['queued', 'ready', 'validating', 'retrying']) {
      const world = worldOf(policy({ max_running_per_project: 1 }));
      if (stage === 'queued') submit(world, 'x');
      submit(world, 'a', { options: { qa_profile: 'syntax' } });
      if (stage === 'validating') answer(world, 'a');
      if (stage === 'retrying') {
        world.append('dats.task.attempt.failed', {
          task_id: 'a',
          attempt: 1,
          stage: 'generation',
          error: { code: 'e', message: 'e', retryable: true },
        });
        world.step();
      }
      world.append('dats.task.cancel.requested', { task_id: 'a', reason: 'stop', by: 'me' });
      world.append('dats.task.output.created', output({ task_id: 'a', attempt: 1 }));
      world.append('dats.task.validated', { task_id: 'a', attempt: 1, profile: 'syntax', checks: [], score: 1 });
      world.step();
      world.now += 60_000;
      world.step();
      expect(world.terminals('a'), stage).toEqual(['dats.task.cancelled']);
      submit(world, 'next');
      if (stage !== 'queued') expect(world.work.at(-1)!.data.task_id, stage).toBe('next');
    }
  });

  it('an attempt that runs out of time is tried again; the late answer of the first changes nothing', () => {
    const world = worldOf();
    submit(world, 'a');
    world.now += 10_011;
    world.step();
    world.now += 1_000;
    world.step();
    expect(world.work.map((w) => w.data.attempt)).toEqual([1, 2]);
    answer(world, 'a', 1);
    expect(world.terminals('a')).toEqual([]);
    answer(world, 'a', 2);
    expect(world.terminals('a')).toEqual(['dats.task.completed']);
  });

  it('a task that misses its deadline fails, also while it waits', () => {
    const world = worldOf(policy({ max_running_per_project: 1 }));
    submit(world, 'a');
    submit(world, 'b', { options: { qa_profile: 'none', deadline: new Date(world.now + 5_000).toISOString() } });
    world.now += 5_010;
    world.step();
    expect(world.terminals('b')).toEqual(['dats.task.failed']);
  });

  it('a decomposed task completes with the last of its subtasks, in the order of their dependencies, with their artifacts', () => {
    const world = worldOf();
    const text = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
    submit(world, 'a', { options: { decompose: true, qa_profile: 'none' } });
    world.append('dats.task.decomposed', {
      task_id: 'a',
      planner: { name: 't', version: '1' },
      children: [
        { task_id: 'a2', title: '2', description: text, depends_on: ['a1'] },
        { task_id: 'a1', title: '1', description: text, depends_on: [] },
      ],
    });
    world.step();
    for (const id of ['a1', 'a2']) world.append('dats.task.analyzed', analysis(id));
    world.step();
    expect(world.work.map((w) => w.data.task_id)).toEqual(['a1']);
    answer(world, 'a1');
    expect(world.work[1]!.data.context).toMatchObject({ created: 2, parent: 0, inputs: [{ task_id: 'a1' }] });
    expect(world.terminals('a')).toEqual([]);
    answer(world, 'a2');
    expect(world.terminals('a')).toEqual(['dats.task.completed']);
  });

  it('a failed subtask fails its parent and cancels its siblings', () => {
    const world = worldOf();
    const text = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
    submit(world, 'a', { options: { decompose: true, qa_profile: 'none' } });
    world.append('dats.task.decomposed', {
      task_id: 'a',
      planner: { name: 't', version: '1' },
      children: ['a1', 'a2'].map((task_id) => ({ task_id, title: task_id, description: text, depends_on: [] })),
    });
    world.step();
    for (const id of ['a1', 'a2']) world.append('dats.task.analyzed', analysis(id));
    world.append('dats.task.attempt.failed', {
      task_id: 'a1',
      attempt: 1,
      stage: 'generation',
      error: { code: 'model_rejected', message: 'no', retryable: false },
    });
    world.step();
    expect(['a', 'a1', 'a2'].map((id) => world.terminals(id))).toEqual([
      ['dats.task.failed'],
      ['dats.task.failed'],
      ['dats.task.cancelled'],
    ]);
  });

  const text = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
  const oneAfterTheOther = (world: World, options: object = {}): void => {
    submit(world, 'a', { options: { decompose: true, qa_profile: 'none', ...options } });
    world.append('dats.task.decomposed', {
      task_id: 'a',
      planner: { name: 't', version: '1' },
      children: [
        { task_id: 'a1', title: '1', description: text, depends_on: [] },
        { task_id: 'a2', title: '2', description: text, depends_on: ['a1'] },
      ],
    });
    world.step();
    for (const id of ['a1', 'a2']) world.append('dats.task.analyzed', analysis(id));
    world.step();
  };

  it('a subtask that waits for one that failed ends once, though its parent ends too', () => {
    const world = worldOf();
    oneAfterTheOther(world);
    const error = { code: 'model_rejected', message: 'no', retryable: false };
    world.append('dats.task.attempt.failed', { task_id: 'a1', attempt: 1, stage: 'generation', error });
    world.step();
    expect(['a', 'a1', 'a2'].map((id) => world.terminals(id))).toEqual([
      ['dats.task.failed'],
      ['dats.task.failed'],
      ['dats.task.cancelled'],
    ]);
  });

  it('a deadline that a parent shares with its subtasks ends each of them once', () => {
    const world = worldOf();
    oneAfterTheOther(world, { deadline: new Date(world.now + 5_000).toISOString() });
    world.now += 5_010;
    world.step();
    expect(['a', 'a1', 'a2'].map((id) => world.terminals(id).length)).toEqual([1, 1, 1]);
  });

  it('a project with many queued tasks costs another project nothing', () => {
    const world = worldOf();
    for (let i = 0; i < 5_000; i++) world.append('dats.task.created', creation(`t${i}`, { options: { qa_profile: 'none' } }));
    for (let i = 0; i < 5_000; i++) world.append('dats.task.analyzed', analysis(`t${i}`));
    world.step();
    submit(world, 'mine', {}, 'q');
    expect(world.work.at(-1)!.data.task_id).toBe('mine');
  });
});

// Random histories. Every task ends exactly once, limits hold, a restart at any step changes nothing, and a rebuild from the log gives the same bytes.
const action = fc.oneof(
  fc.record({
    kind: fc.constant('submit' as const),
    project: fc.constantFrom('p', 'q'),
    priority: fc.constantFrom('low', 'normal', 'urgent'),
    deps: fc.array(fc.nat(20), { maxLength: 2 }),
    decompose: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('work' as const),
    which: fc.nat(50),
    outcome: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'reject', 'again'),
  }),
  fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 12_000 }) }),
  fc.record({ kind: fc.constant('step' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

describe('scheduling under random histories', () => {
  it('ends every task once, keeps its limits, and is the same after restarts and rebuilds', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 5, maxLength: 80 }), (actions) => {
        const p = policy();
        const world = worldOf(p);
        const tasks: { id: string; project: string }[] = [];
        const projectOf = (id: string) => tasks.find((t) => id.startsWith(t.id))!.project;
        let answered = 0;
        const respond = (index: number, outcome: string): void => {
          const item = world.work[index];
          if (!item) return;
          const { task_id, attempt, kind } = item.data;
          const project = projectOf(task_id);
          if (outcome === 'fail')
            world.append(
              'dats.task.attempt.failed',
              {
                task_id,
                attempt,
                stage: kind === 'check' ? 'qa' : 'generation',
                error: { code: 'model_error', message: 'e', retryable: true },
              },
              project,
            );
          else if (kind === 'generate') world.append('dats.task.output.created', output(item.data), project);
          else if (outcome === 'reject')
            world.append(
              'dats.task.rejected',
              { task_id, attempt, profile: 'syntax', checks: [], score: 0, reasons: ['no'], retryable: true },
              project,
            );
          else world.append('dats.task.validated', { task_id, attempt, profile: 'syntax', checks: [], score: 1 }, project);
        };
        const checkLimits = (): void => {
          const running = new Map<string, number>();
          for (const [key, json] of world.saved) {
            const task = key.startsWith('scheduling/t/') ? (JSON.parse(json) as { project: string; stage: string }) : undefined;
            if (task && ['ready', 'running', 'validating'].includes(task.stage))
              running.set(task.project, (running.get(task.project) ?? 0) + 1);
          }
          for (const count of running.values()) expect(count).toBeLessThanOrEqual(p.max_running_per_project);
        };
        for (const a of actions) {
          if (a.kind === 'submit') {
            const id = `t${tasks.length}.`;
            const deps = a.deps
              .map((n) => tasks[n])
              .filter((t) => t?.project === a.project)
              .map((t) => t!.id);
            tasks.push({ id, project: a.project });
            world.append(
              'dats.task.created',
              creation(id, { priority: a.priority as 'low', depends_on: [...new Set(deps)], options: { decompose: a.decompose } }),
              a.project,
            );
            world.append('dats.task.analyzed', analysis(id), a.project);
            if (a.decompose) {
              const text = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
              world.append(
                'dats.task.decomposed',
                {
                  task_id: id,
                  planner: { name: 't', version: '1' },
                  children: [0, 1].map((n) => ({
                    task_id: `${id}${n}`,
                    title: 't',
                    description: text,
                    depends_on: n === 1 ? [`${id}0`] : [],
                  })),
                },
                a.project,
              );
              world.step();
              for (const n of [0, 1]) world.append('dats.task.analyzed', analysis(`${id}${n}`), a.project);
            }
          } else if (a.kind === 'work') respond(a.outcome === 'again' ? a.which % Math.max(1, answered) : answered++, a.outcome);
          else if (a.kind === 'cancel' && tasks[a.which])
            world.append('dats.task.cancel.requested', { task_id: tasks[a.which]!.id, reason: 'r', by: 'b' }, tasks[a.which]!.project);
          else if (a.kind === 'time') world.now += a.ms;
          else if (a.kind === 'restart') world.restart();
          world.step(a.kind === 'step' ? a.count : 1);
          checkLimits();
        }
        const open = () => world.read < world.log.length || [...world.saved.keys()].some((key) => key.startsWith('scheduling/t/'));
        for (let i = 0; i < 2_000 && open(); i++) {
          while (answered < world.work.length) respond(answered++, 'ok');
          world.now += 500;
          world.step();
          checkLimits();
        }
        for (const { id } of tasks) expect(world.terminals(id), id).toHaveLength(1);

        const fold = openFold([schedulingDecider(fixed(p)) as never], [], {
          source: SOURCE,
          configVersion: () => '1',
          now: () => world.now,
        });
        const rebuild = openRebuild(fold, SOURCE);
        for (const record of world.log)
          rebuild.take({ ...record, event: { ...record.headers, data: JSON.parse(String(record.value)) } as never });
        rebuild.finish(world.read);
        const entries = [...fold.changes()].filter(([, value]) => value !== null).sort(([a], [b]) => (a < b ? -1 : 1));
        expect(entries).toEqual([...world.saved].sort(([a], [b]) => (a < b ? -1 : 1)));
      }),
      { numRuns: Number(process.env['DATS_RUNS'] ?? 150) },
    );
  });
});

describe('settings that change while it runs', () => {
  const running = (world: World): number => [...world.saved.values()].filter((json) => JSON.parse(json).stage === 'ready').length;

  it('hold for the next decision', () => {
    let now = policy({ max_running_per_project: 1 });
    const world = openWorld(() => [schedulingDecider({ now: () => now, under: () => now }, () => prompts) as never]);
    let prompts = BUILT_IN_PROMPTS;
    for (const id of ['a', 'b', 'c', 'd']) submit(world, id);
    expect(running(world)).toBe(1);
    now = policy({ max_running_per_project: 3, timeout_s: 60 });
    prompts = { ...prompts, generate: changedPrompt('generate', 7) };
    answer(world, 'a');
    expect(running(world)).toBe(3);
    expect(world.work.map(({ data }) => data.prompt_version)).toEqual(['generate@1', 'generate@1.7', 'generate@1.7', 'generate@1.7']);
    expect(world.work.map(({ data }) => Date.parse(data.due) - world.now)).toEqual([10_000, 60_000, 60_000, 60_000]);
  });

  it('leave what is folded again as it was: what is kept of an event follows from the version that it names', () => {
    let now = policy({ timeout_s: 5 });
    const policies = { now: () => now, under: (version: string) => policy({ timeout_s: version === '1' ? 5 : 50 }) };
    const world = openWorld(() => [schedulingDecider(policies) as never]);
    world.append('dats.task.created', creation('waits for its analysis'));
    world.step();
    now = policy({ timeout_s: 50 });
    submit(world, 'runs');
    const fold = openFold([schedulingDecider(policies) as never], [], { source: SOURCE, configVersion: () => '2', now: () => world.now });
    const rebuild = openRebuild(fold, SOURCE);
    for (const record of world.log)
      rebuild.take({ ...record, event: { ...record.headers, data: JSON.parse(String(record.value)) } as never });
    rebuild.finish(world.read);
    expect(new Map(fold.changes())).toEqual(world.saved);
    expect(JSON.parse(world.saved.get('scheduling/t/waits for its analysis')!).dueMs - world.now).toBe(5_000);
  });
});
