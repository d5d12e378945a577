import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadScript, type ModelRunner, openScripted, priceOf } from '../../models/index.js';
import { packageRoot } from '../../nodes/index.js';
import type { TaskView } from '../../schemas/index.js';
import { anEvent } from '../testing.js';
import { demoConfiguration } from './demo.js';
import { answeredLine, deviations, type Outcome, openTrails } from './report.js';
import { chooseTasks, type DemoTask, demoFolder, loadDemoTasks } from './tasks.js';

const root = packageRoot();
const tasks = loadDemoTasks(root);
const titleOf = (description: string): string => description.split('\n', 1)[0]!;
const answerTo = async (runner: ModelRunner, hints: Record<string, string | number>): Promise<string> => {
  let text = '';
  for await (const chunk of runner.generate({ messages: [], hints }, AbortSignal.timeout(5_000)))
    if (chunk.kind === 'text') text += chunk.text;
  return text;
};

describe('the recorded answers', () => {
  it('hold one for every task, by its first line, and for every step of the plan', async () => {
    const runner = openScripted({ id: 'recorded', script: await loadScript(join(demoFolder(root), 'script.yaml')) });
    for (const task of tasks.filter(({ cancel }) => cancel === undefined)) {
      const title = titleOf(task.description);
      const purpose = task.options?.decompose === true ? 'decompose' : 'generate';
      const answer = await answerTo(runner, { task: title, purpose, tier: task.options?.tier ?? 'small', attempt: 1 });
      expect(answer, task.name).not.toContain('No rule of the script matches');
      if (purpose === 'generate') continue;
      const { steps } = JSON.parse(answer) as { steps: { title: string; description: string; files: string[] }[] };
      expect(steps).toHaveLength(task.expect.children!);
      for (const step of steps)
        expect(await answerTo(runner, { task: titleOf(step.description), purpose: 'generate', tier: 'small', attempt: 1 })).toContain(
          `path=${step.files[0]}`,
        );
    }
  });

  it('hold one that takes long enough to be cancelled', async () => {
    const script = await loadScript(join(demoFolder(root), 'script.yaml'));
    const task = tasks.find(({ cancel }) => cancel !== undefined)!;
    const rule = script.rules.find(({ match }) => match.task === titleOf(task.description));
    expect(rule?.answers?.[0]?.latency_ms).toBe(30_000);
  });
});

describe('the node of the demo', () => {
  const priced = ({ models, prices }: ReturnType<typeof demoConfiguration>['config']) =>
    models.map((model) => [model.id, priceOf(model, model.provider ?? model.runner, prices)]);
  const example = { version: 'demo-example', input_per_mtok: 0.1, output_per_mtok: 0.4 };

  it('has example prices for the recorded answers, named as such, and for nothing else', () => {
    const dir = mkdtempSync(join(tmpdir(), 'dats-demo-'));
    try {
      writeFileSync(join(dir, 'servers.yaml'), 'version: 1\nmodels: [{ id: recorded-by-me, runner: ollama, tiers: [small] }]\n');
      const io = { env: {}, cwd: dir };
      expect(priced(demoConfiguration(io, root, dir, true).config)).toEqual([['recorded', example]]);
      expect(priced(demoConfiguration(io, root, dir, false).config)).toEqual([
        ['recorded-by-me', undefined],
        ['recorded', example],
      ]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('what is shown', () => {
  const names = (chosen: readonly DemoTask[]): string[] => chosen.map(({ name }) => name);

  it('is everything where sandbox and python are there', () => {
    expect(chooseTasks(tasks, { sandbox: true, python: true })).toMatchObject({ tasks, remarks: [] });
    expect(names(tasks)).toEqual(['slugify', 'lru-cache', 'roman', 'calculator', 'cancelled', 'config-file']);
  });

  it('is less where something is missing, and that is said', () => {
    const withoutSandbox = chooseTasks(tasks, { sandbox: false, python: true });
    expect(names(withoutSandbox.tasks)).toEqual(['slugify', 'lru-cache', 'calculator', 'cancelled', 'config-file']);
    expect(withoutSandbox.tasks.every((task) => task.tests === undefined)).toBe(true);
    expect(withoutSandbox.remarks).toContain('roman is left out: no sandbox');
    expect(names(chooseTasks(tasks, { sandbox: true, python: false }).tasks)).toEqual([
      'lru-cache',
      'calculator',
      'cancelled',
      'config-file',
    ]);
  });
});

describe('the verdict on the demo', () => {
  const named = (name: string): DemoTask => tasks.find((task) => task.name === name)!;
  const outcome = (name: string, state: TaskView['state'], over: Partial<Outcome['trail']> = {}): Outcome => ({
    name,
    task: named(name),
    view: { state, error: null, artifacts: [], children: [] } as unknown as TaskView,
    trail: { tiers: ['small'], rejections: 0, ...over },
  });

  it('is good only when every task ended as intended, also in how it got there', () => {
    expect(
      deviations(
        [
          outcome('slugify', 'completed'),
          outcome('cancelled', 'cancelled'),
          outcome('roman', 'completed', { tiers: ['small', 'medium'], rejections: 1 }),
        ],
        true,
      ),
    ).toEqual([]);
  });

  it('names what was not', () => {
    expect(
      deviations(
        [
          outcome('slugify', 'failed'),
          outcome('cancelled', 'completed'),
          outcome('roman', 'completed'),
          outcome('calculator', 'completed'),
        ],
        true,
      ),
    ).toEqual([
      'slugify is failed; completed was intended',
      'cancelled is completed; cancelled was intended',
      'roman was rejected 0 times; 1 was intended',
      'roman ran on small; small > medium was intended',
      'calculator has 0 subtasks; 3 were intended',
    ]);
  });

  it('does not ask a real model to be wrong first', () => {
    expect(deviations([outcome('roman', 'completed')], false)).toEqual([]);
  });
});

describe('who answered', () => {
  const call = (model: string, provider: string, outcome: 'ok' | 'error') =>
    ({ model, provider, outcome, input_tokens: 1, output_tokens: 1, duration_ms: 1 }) as const;

  it('is told from the calls that were answered, also where the answer was rejected', () => {
    const trails = openTrails();
    const error = { code: 'answer_no_file', message: 'no file', retryable: true };
    const failed = { task_id: 'a', attempt: 1, stage: 'generation', error } as const;
    trails.take(
      anEvent('dats.task.attempt.failed', 'a', { ...failed, calls: [call('one', 'ollama', 'error'), call('two', 'vllm', 'ok')] }),
    );
    trails.take(
      anEvent('dats.task.attempt.failed', 'a', { ...failed, calls: [call('two', 'vllm', 'ok'), call('recorded', 'scripted', 'ok')] }),
    );
    trails.take(anEvent('dats.task.attempt.failed', 'b', failed));
    expect(trails.answered()).toEqual({ 'two (vllm)': 2, 'recorded (scripted)': 1 });
    expect(answeredLine(trails.answered())).toBe('answers   2 by two (vllm), 1 by recorded (scripted)');
    expect(answeredLine({})).toBe('answers   by nobody');
  });
});
