import { defineConfig } from 'vitest/config';

const folders = '{schemas,streams,models,processors,gateway,nodes,cli,deploy,bench,test}';

/** Tests that need what `npm run build` made, and servers of their own. */
const WHOLE = { testTimeout: 600_000, hookTimeout: 120_000, globalSetup: ['test/support/servers.ts'] };

/** Whole processes that wait more than they work, and whose timings nobody reads: they run beside others. */
const PATIENT = 'test/{analytics,edge-stores,lent-models,live-text,quota,recovery,traces}.e2e.test.ts';

/** Random histories take some seconds, and a machine that does something else beside takes several times as long. */
const LONG_MS = 60_000;

/** They replace a module, or look at all that a process has: each has a process of its own. */
const ALONE = ['processors/replay/stuck.test.ts', '**/leaks.test.ts'];
const OTHERS = ['**/*.int.test.ts', 'test/**/*.e2e.test.ts', 'dist/**', 'node_modules/**'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [`${folders}/**/*.test.ts`],
          exclude: [...ALONE, ...OTHERS],
          testTimeout: LONG_MS,
          // Files share a process: most of their time would be loading the same modules again.
          isolate: false,
          maxWorkers: 2,
        },
      },
      { test: { name: 'alone', include: ALONE, exclude: OTHERS, testTimeout: LONG_MS, maxWorkers: 2 } },
      {
        // With real servers, two files at a time: they wait for servers more than they work.
        test: {
          name: 'int',
          include: [`${folders}/**/*.int.test.ts`, PATIENT],
          ...WHOLE,
          maxWorkers: 2,
        },
      },
      {
        // Whole processes: they run what `npm run build` made, one file after another, so that timings stay sane on two cores.
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          exclude: [PATIENT, 'dist/**', 'node_modules/**'],
          ...WHOLE,
          fileParallelism: false,
        },
      },
    ],
  },
});
