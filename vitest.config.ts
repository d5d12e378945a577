import { defineConfig } from 'vitest/config';

const folders = '{schemas,streams,models,processors,gateway,nodes,cli,deploy,bench,test}';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [`${folders}/**/*.test.ts`],
          exclude: ['**/*.int.test.ts', 'test/**/*.e2e.test.ts', 'dist/**', 'node_modules/**'],
          testTimeout: 20_000,
        },
      },
      {
        // Whole processes: they run what `npm run build` made, one file after another, so that timings stay sane on two cores.
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts', `${folders}/**/*.int.test.ts`],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          globalSetup: ['test/support/servers.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
});
