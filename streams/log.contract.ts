// What every adapter of the log must do (L1..L6 in log.ts). An adapter's own test opens it and calls this.
import { afterEach, beforeEach, describe, test } from 'vitest';
import type { Log } from './log.js';
import { appendCases } from './testing/append.cases.js';
import { commitCases } from './testing/commit.cases.js';
import { groupCases } from './testing/group.cases.js';
import { historyCases } from './testing/history.cases.js';
import { readCases } from './testing/read.cases.js';

export const PARTITIONS = 4;

/** One store; every `open` is one more process on it, as far as the adapter can tell. */
export interface LogHarness {
  /** `node` is the name of the process, default `node-1`. */
  open(node?: string): Promise<Log>;
  /** Takes the members of that node out of their groups, as if the process had died. */
  expel(node: string): Promise<void>;
  /** Removes the store. */
  dispose(): Promise<void>;
}

/** A harness for one test: closes what the test opened. */
export interface LogUnderTest {
  open(node?: string): Promise<Log>;
  expel(node: string): Promise<void>;
}

export interface ContractOptions {
  /** Names of tests that this adapter cannot pass, each with the reason. The goal is none. */
  readonly skip?: Readonly<Record<string, string>>;
}

export type Case = readonly [name: string, run: (log: LogUnderTest) => Promise<void>];

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
