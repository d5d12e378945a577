// Taking rows away from an engine that now and then does not do what it says.
import { expect, test } from 'vitest';
import type { Analytics } from '../../../streams/index.js';
import { clearPartition } from './heal.js';

const TABLE = 'dats.model_calls';

/** A store whose one table has rows, until so many deletions from it were skipped. */
const storeThatSkips = (skipped: number) => {
  let rows = 7;
  let deletions = 0;
  const asked = (sql: string): boolean => sql.includes(` ${TABLE} `);
  const store = {
    query: async (sql: string) => [{ n: asked(sql) ? rows : 0 }],
    command: async (sql: string) => {
      if (asked(sql) && deletions++ >= skipped) rows = 0;
    },
  } as unknown as Analytics;
  return { store, rows: () => rows, deletions: () => deletions };
};

const clear = (store: Analytics) => clearPartition(store, { topic: 'dats.telemetry', partition: 0 });

test('rows are deleted until none is left (E5)', async () => {
  const skipping = storeThatSkips(2);
  await clear(skipping.store);
  expect([skipping.rows(), skipping.deletions()]).toEqual([0, 3]);
});

test('a store that never deletes is told, and tried again later', async () => {
  const skipping = storeThatSkips(Number.POSITIVE_INFINITY);
  await expect(clear(skipping.store)).rejects.toMatchObject({ kind: 'retryable', code: 'history_undeleted' });
  expect(skipping.rows()).toBe(7);
});
