// The tasks of the demo: data files beside this one, found from the package, not from `dist`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { STATES, submitTaskSchema, TIERS } from '../../schemas/index.js';
import type { SubmitBody } from '../client/index.js';

const NEEDS = ['python', 'sandbox'] as const;
export type Need = (typeof NEEDS)[number];

const demoTaskSchema = z.strictObject({
  name: z.string(),
  description: z.string(),
  options: submitTaskSchema.shape.options,
  tests: submitTaskSchema.shape.tests,
  /** What must be there; without a sandbox a task is checked for syntax only, without python it is left out. */
  needs: z.array(z.enum(NEEDS)).default([]),
  /** Nothing to show without its tests. */
  needs_tests: z.boolean().default(false),
  /** The reason; it is cancelled as soon as it runs. */
  cancel: z.string().optional(),
  /** How it is meant to end. `rejections` and `tiers` hold for the recorded answers only. */
  expect: z.strictObject({
    state: z.enum(STATES),
    rejections: z.int().optional(),
    tiers: z.array(z.enum(TIERS)).optional(),
    children: z.int().optional(),
  }),
  /** Path of the file that is shown at the end. */
  sample: z.string().optional(),
});
export type DemoTask = z.infer<typeof demoTaskSchema>;

export const demoFolder = (packageRoot: string): string => join(packageRoot, 'cli', 'demo');

export const loadDemoTasks = (packageRoot: string): readonly DemoTask[] => {
  const folder = join(demoFolder(packageRoot), 'tasks');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => demoTaskSchema.parse(parse(readFileSync(join(folder, name), 'utf8'))));
};

export interface Chosen {
  readonly tasks: readonly DemoTask[];
  /** What is left out or checked less, in words. */
  readonly remarks: readonly string[];
}

/** What can be shown with what is there. */
export const chooseTasks = (tasks: readonly DemoTask[], there: Readonly<Record<Need, boolean>>): Chosen => {
  const chosen: DemoTask[] = [];
  const remarks: string[] = [];
  for (const task of tasks) {
    const missing = task.needs.filter((need) => !there[need]);
    if (missing.includes('python') || (missing.length > 0 && task.needs_tests))
      remarks.push(`${task.name} is left out: no ${missing.join(', no ')}`);
    else if (missing.length > 0) {
      const { tests: _tests, ...rest } = task;
      chosen.push({ ...rest, options: { ...task.options, qa_profile: 'syntax' } });
      remarks.push(`${task.name} is checked for syntax only: no ${missing.join(', no ')}`);
    } else chosen.push(task);
  }
  return { tasks: chosen, remarks };
};

export const bodyOfDemoTask = (task: DemoTask, project: string): SubmitBody => ({
  project_id: project,
  description: task.description,
  options: task.options,
  submitted_by: 'demo',
  ...(task.tests === undefined ? {} : { tests: task.tests }),
});
