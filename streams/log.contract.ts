// What every adapter of the log must do (L1..L6 in log.ts). An adapter's own test opens it and calls this.
import { afterEach, beforeEach, describe, test } from 'vitest';
import type { Log } from './log.js';
import { appendCases } from './testing/append.cases.js';
import { commitCases } from './testing/commit.cases.js';
import { groupCases } from './testing/group.cases.js';
import { historyCases } from './testing/history.cases.js';
import type { LogHarness, LogUnderTest } from './testing/log-harness.js';
import { readCases } from './testing/read.cases.js';

export { type LogHarness, PARTITIONS } from './testing/log-harness.js';

export interface ContractOptions {
  /** Names of tests that this adapter cannot pass, each with the reason. The goal is none. */
  readonly skip?: Readonly<Record<string, string>>;
}

export const logContract = (name: string, make: () => Promise<LogHarness>, { skip = {} }: ContractOptions = {}): void => {
  describe(`${name}: the contract of the log`, () => {
    let harness: LogHarness;
    let opened: Log[];
    const underTest: LogUnderTest = {
      open: async (node) => {
        const log = await harness.open(node);
        opened.push(log);
        return log;
      },
      expel: (node) => harness.expel(node),
      get histories() {
        return harness.histories;
      },
    };
    beforeEach(async () => {
      opened = [];
      harness = await make();
    });
    afterEach(async () => {
      await Promise.all(opened.map((log) => log.close()));
      await harness.dispose();
    });
    const groups = { append: appendCases, read: readCases, commit: commitCases, group: groupCases, history: historyCases(make) };
    for (const [group, cases] of Object.entries(groups)) {
      describe(group, () => {
        for (const [title, run] of cases) {
          if (skip[title] === undefined) test(title, () => run(underTest));
          else test.skip(`${title} (${skip[title]})`);
        }
      });
    }
  });
};
