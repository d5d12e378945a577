// What every adapter of the view store must do (V1..V4 in view-store.ts). An adapter's own test opens it and calls this.
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
      await views.put([task('a', 1, 'x')], { view: 'status', partition: 1, from: 0, next: 7 });
      await views.put([], { view: 'status', partition: 1, from: 7, next: 3 });
      expect(await views.checkpoint('status', 1)).toBe(7);
      expect(await views.checkpoint('status', 0)).toBe(0);
      expect(await views.checkpoint('other', 1)).toBe(0);
    });

    test('a writer that believes in a higher checkpoint than is stored writes nothing: the store was emptied', async () => {
      await views.put([task('a', 7, 'seven', ['p/1'])], { view: 'status', partition: 1, from: 0, next: 7 });
      await views.clear();
      const late = [task('a', 9, 'nine', ['p/1']), task('b', 8, 'eight', ['p/2'])];
      await expect(views.put(late, { view: 'status', partition: 1, from: 7, next: 9 })).rejects.toMatchObject({
        kind: 'retryable',
        code: 'views_lost',
      });
      expect(await views.get('tasks', 'a')).toBeUndefined();
      expect(await views.get('tasks', 'b')).toBeUndefined();
      expect(await ids('')).toEqual([]);
      expect(await views.checkpoint('status', 1)).toBe(0);
    });

    test('a writer that was overtaken writes nothing, newer versions neither', async () => {
      await views.put([task('a', 3, 'three')], { view: 'status', partition: 1, from: 0, next: 3 });
      await views.put([task('a', 7, 'seven')], { view: 'status', partition: 1, from: 3, next: 7 });
      const behind = [task('a', 9, 'wrong'), task('b', 9, 'wrong', ['p/1'])];
      await expect(views.put(behind, { view: 'status', partition: 1, from: 3, next: 9 })).rejects.toMatchObject({
        kind: 'retryable',
        code: 'views_moved',
      });
      expect(await views.get('tasks', 'a')).toBe('seven');
      expect(await views.get('tasks', 'b')).toBeUndefined();
      expect(await ids('')).toEqual([]);
      expect(await views.checkpoint('status', 1)).toBe(7);
      await views.put([task('a', 9, 'nine')], { view: 'status', partition: 1, from: 7, next: 9 });
      expect(await views.get('tasks', 'a')).toBe('nine');
    });

    test('of two writers that go on from the same checkpoint at once, one writes', async () => {
      const writers = ['one', 'two', 'three'].map((name) =>
        views.put([task(name, 5, name)], { view: 'status', partition: 0, from: 0, next: 5 }).then(
          () => name,
          (error: { code: string }) => error.code,
        ),
      );
      const outcomes = await Promise.all(writers);
      const winner = outcomes.filter((outcome) => outcome !== 'views_moved');
      expect(winner).toHaveLength(1);
      for (const name of ['one', 'two', 'three']) expect(await views.get('tasks', name)).toBe(name === winner[0] ? name : undefined);
    });

    test('an acknowledged write of many documents is there as a whole', async () => {
      const many = Array.from({ length: 2_048 }, (_, i) =>
        task(`m${i}`, i + 1, { i, text: 'ü'.repeat(100) }, [`many/${String(i).padStart(4, '0')}`]),
      );
      await views.put(many, { view: 'status', partition: 0, from: 0, next: 2_048 });
      await views.put(many, { view: 'status', partition: 0, from: 2_048, next: 2_049 });
      const listed = await views.list('tasks', 'many/', { limit: 5_000 });
      expect(listed.map(({ id }) => id)).toEqual(many.map(({ id }) => id));
      for (const i of [0, 999, 1_000, 1_001, 2_047]) expect(await views.get('tasks', `m${i}`)).toMatchObject({ i });
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
      await views.put([task('a', 9, 'x', ['p/1'])], { view: 'v', partition: 0, from: 0, next: 9 });
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
