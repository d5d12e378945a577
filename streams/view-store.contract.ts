// What every adapter of the view store must do (V1..V3 in view-store.ts). An adapter's own test opens it and calls this.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openMemoryViewStore } from './memory/index.js';
import type { Document, ViewStore } from './view-store.js';

export interface ViewStoreHarness {
  readonly views: ViewStore;
  /** Closes it and removes what it stored. */
  dispose(): Promise<void>;
}

const task = (id: string, version: number, doc: unknown, indexes?: readonly string[]): Document => ({
  collection: 'tasks',
  id,
  version,
  doc,
  ...(indexes === undefined ? {} : { indexes }),
});

const documents: fc.Arbitrary<Document> = fc.record(
  {
    collection: fc.constantFrom('tasks', 'ü'),
    id: fc.constantFrom('a', 'b', 'c', '日本'),
    version: fc.integer({ min: 1, max: 6 }),
    doc: fc.option(fc.record({ n: fc.integer(), text: fc.string({ unit: 'grapheme', maxLength: 8 }) }), { freq: 4 }),
    indexes: fc.uniqueArray(fc.constantFrom('p/1', 'p/2', 'p/10', 'q/ü', 'p'), { maxLength: 3 }),
  },
  { requiredKeys: ['collection', 'id', 'version', 'doc'] },
);

export const viewStoreContract = (name: string, make: () => Promise<ViewStoreHarness>): void => {
  describe(`${name}: the contract of the view store`, () => {
    let harness: ViewStoreHarness;
    let views: ViewStore;
    beforeEach(async () => {
      harness = await make();
      views = harness.views;
    });
    afterEach(() => harness.dispose());
    const ids = async (prefix: string, options: { after?: string; limit?: number; reverse?: boolean } = {}) =>
      (await views.list('tasks', prefix, { limit: 100, ...options })).map(({ id }) => id);

    test('what was put is there for the next get, and cannot be changed through it', async () => {
      const doc = { title: 'größe 漢字', list: [1, { deep: null }] };
      await views.put([task('a', 1, doc)]);
      const got = await views.get<typeof doc>('tasks', 'a');
      expect(got).toEqual(doc);
      got!.list.push(2);
      expect(await views.get('tasks', 'a')).toEqual(doc);
      expect(await views.get('tasks', 'b')).toBeUndefined();
      expect(await views.get('other', 'a')).toBeUndefined();
    });

    test('a write that is not newer is ignored', async () => {
      await views.put([task('a', 5, 'five')]);
      await views.put([task('a', 5, 'again'), task('a', 4, 'four')]);
      expect(await views.get('tasks', 'a')).toBe('five');
      await views.put([task('a', 6, 'six')]);
      expect(await views.get('tasks', 'a')).toBe('six');
    });

    test('null deletes, and an older write does not bring the document back', async () => {
      await views.put([task('a', 1, 'x', ['p/1'])]);
      await views.put([task('a', 3, null)]);
      await views.put([task('a', 2, 'late', ['p/1'])]);
      expect(await views.get('tasks', 'a')).toBeUndefined();
      expect(await ids('p/')).toEqual([]);
      await views.put([task('a', 4, 'new', ['p/2'])]);
      expect(await ids('p/')).toEqual(['a']);
    });

    test('a checkpoint moves with its documents, never back, and is its own for view and partition', async () => {
      expect(await views.checkpoint('status', 1)).toBe(0);
      await views.put([task('a', 1, 'x')], { view: 'status', partition: 1, next: 7 });
      await views.put([], { view: 'status', partition: 1, next: 3 });
      expect(await views.checkpoint('status', 1)).toBe(7);
      expect(await views.checkpoint('status', 0)).toBe(0);
      expect(await views.checkpoint('other', 1)).toBe(0);
    });

    test('list pages through an index in both directions', async () => {
      await views.put(['1', '2', '3', '4'].map((n) => task(`t${n}`, 1, n, [`p/${n}`, `all/${n}`])));
      await views.put([task('other', 1, 'x', ['p', 'p0', 'q/1'])]);
      expect(await ids('p/')).toEqual(['t1', 't2', 't3', 't4']);
      expect(await ids('p/', { reverse: true })).toEqual(['t4', 't3', 't2', 't1']);
      expect(await ids('p/', { limit: 2 })).toEqual(['t1', 't2']);
      expect(await ids('p/', { after: 'p/2' })).toEqual(['t3', 't4']);
      expect(await ids('p/', { after: 'p/3', reverse: true })).toEqual(['t2', 't1']);
      expect(await ids('p/', { after: 'a' })).toEqual(['t1', 't2', 't3', 't4']);
      expect(await ids('p/', { after: 'z' })).toEqual([]);
      expect(await ids('none/')).toEqual([]);
      expect((await views.list('tasks', 'all/', { limit: 1 }))[0]).toEqual({ key: 'all/1', id: 't1' });
    });

    test('the indexes of a document stay those of its first write', async () => {
      await views.put([task('a', 1, 'x', ['p/1'])]);
      await views.put([task('a', 2, 'y', ['p/2'])]);
      expect(await views.list('tasks', '', { limit: 10 })).toEqual([{ key: 'p/1', id: 'a' }]);
    });

    test('clear drops documents, indexes and checkpoints', async () => {
      await views.put([task('a', 9, 'x', ['p/1'])], { view: 'v', partition: 0, next: 9 });
      await views.clear();
      expect(await views.get('tasks', 'a')).toBeUndefined();
      expect(await ids('')).toEqual([]);
      expect(await views.checkpoint('v', 0)).toBe(0);
      await views.put([task('a', 1, 'rebuilt')]);
      expect(await views.get('tasks', 'a')).toBe('rebuilt');
    });

    test('long ids are found', async () => {
      const long = 'i'.repeat(5_000);
      await views.put([task(long, 1, 'x'), task(`${long}2`, 1, 'y')]);
      expect(await views.get('tasks', long)).toBe('x');
      expect(await views.get('tasks', `${long}2`)).toBe('y');
    });

    test('a closed store refuses work', async () => {
      await views.close();
      await views.close();
      await expect(views.put([task('a', 1, 'x')])).rejects.toMatchObject({ code: 'log_closed' });
      await expect(async () => views.get('tasks', 'a')).rejects.toMatchObject({ code: 'log_closed' });
    });

    test('random writes have the same outcome as on the memory store', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(documents, { maxLength: 4 }), { maxLength: 12 }), async (puts) => {
          const model = openMemoryViewStore();
          await views.clear();
          for (const put of puts) await Promise.all([model.put(put), views.put(put)]);
          for (const collection of ['tasks', 'ü']) {
            for (const id of ['a', 'b', 'c', '日本']) expect(await views.get(collection, id)).toEqual(await model.get(collection, id));
            for (const prefix of ['', 'p', 'p/', 'q'])
              for (const reverse of [false, true])
                expect(await views.list(collection, prefix, { limit: 50, reverse })).toEqual(
                  await model.list(collection, prefix, { limit: 50, reverse }),
                );
          }
        }),
        { numRuns: 40 },
      );
    });
  });
};
