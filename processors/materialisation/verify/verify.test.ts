// The audit of the views: nothing that differs is passed over, and nothing that only moves is called different.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIFECYCLE, partitionOf, type VerifyReport, type ViewDifference, verifyReportSchema } from '../../../schemas/index.js';
import type { Document, Log, ViewStore } from '../../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../../streams/memory/index.js';
import { eventIn } from '../event-in.js';
import { MARK_TYPES } from '../marks.js';
import { VIEW } from '../materialise.js';
import { openProjection } from '../projection.js';
import type { ArtifactDoc, TaskDoc } from '../task-view.js';
import { append, histories, randomOf } from '../testing/histories.js';
import { openPace } from './pace.js';
import { openProjectFold } from './project-fold.js';
import { verifyProject } from './verify.js';

const NEVER = new AbortController().signal;
const PROJECTS = ['north', 'south', 'east', 'west'];
const PARTITIONS = 2;

/** Brings the views of every partition on, `size` records a write, to the end or to `until`. */
const materialised = async (log: Log, views: ViewStore, size: number, until = Number.POSITIVE_INFINITY): Promise<void> => {
  for (let partition = 0; partition < log.partitions(LIFECYCLE); partition++) {
    const end = Math.min(until, (await log.range(LIFECYCLE, partition)).end);
    const projection = openProjection(views);
    let from = await views.checkpoint(VIEW, partition);
    if (from >= end) continue;
    for await (const records of log.read({ topic: LIFECYCLE, partition, offset: from }, NEVER, { until: end, maxBatch: size })) {
      for (const record of records)
        if (record.type.startsWith('dats.task.') || (MARK_TYPES as readonly string[]).includes(record.type))
          await projection.take(eventIn(record), record.offset);
      const next = records.at(-1)!.offset + 1;
      await views.put(projection.flush(), { view: VIEW, partition, from, next });
      from = next;
    }
  }
};

describe('the audit of the views', () => {
  let log: Log;
  let views: ViewStore;
  beforeEach(() => {
    log = openMemoryLog({ partitions: PARTITIONS });
    views = openMemoryViewStore();
  });
  afterEach(async () => {
    await log.close();
    await views.close();
  });

  const verify = async (project = 'north', store: ViewStore = views): Promise<VerifyReport> =>
    verifyReportSchema.parse(await verifyProject({ log, views: store }, project, NEVER));
  /** A history of some tasks, and the views of it. */
  const filled = async (tasks = 60): Promise<void> => {
    await append(log, histories(tasks, randomOf(7)));
    await materialised(log, views, 10);
  };
  const tasksOf = async (project = 'north'): Promise<readonly TaskDoc[]> => {
    const listed = await views.list('task', `project/${project}/`, { limit: 1_000 });
    return Promise.all(listed.map(async ({ id }) => (await views.get<TaskDoc>('task', id))!));
  };
  const artifactsOf = async (): Promise<readonly ArtifactDoc[]> => {
    const ids = (await tasksOf()).flatMap(({ artifacts }) => artifacts.map(({ artifact_id }) => artifact_id));
    return Promise.all(ids.map(async (id) => (await views.get<ArtifactDoc>('artifact', id))!));
  };
  /** The store, but for some answers. */
  const bent = (change: Partial<ViewStore>): ViewStore => ({ ...views, ...change });
  const hiding = (collection: string, id: string): ViewStore =>
    bent({ get: <T>(name: string, of: string) => (name === collection && of === id ? undefined : views.get<T>(name, of)) });
  const named = ({ views: { different } }: VerifyReport): readonly Pick<ViewDifference, 'collection' | 'id' | 'what' | 'place'>[] =>
    different.map(({ collection, id, what, place }) => ({ collection, id, what, place }));
  /** Puts a document in place of a stored one, as somebody who meddles would. */
  const overwritten = (collection: string, id: string, doc: unknown): ViewStore =>
    bent({ get: <T>(name: string, of: string) => (name === collection && of === id ? (doc as T) : views.get<T>(name, of)) });

  it('whatever the history, and however the views were written, they are those of the fold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 50 }), async (seed, tasks, size) => {
        const [ownLog, ownViews] = [openMemoryLog({ partitions: PARTITIONS }), openMemoryViewStore()];
        const events = histories(tasks, randomOf(seed));
        await append(ownLog, events);
        await materialised(ownLog, ownViews, size);
        let documents = 0;
        for (const project of PROJECTS) {
          const report = await verifyProject({ log: ownLog, views: ownViews }, project, NEVER);
          expect(report.views).toMatchObject({ differences: 0, different: [], why_not: null });
          expect(report.ok).toBe(true);
          expect(report.events).toBe(events.filter(({ projectid }) => projectid === project).length);
          documents += report.views.documents;
        }
        const made = new Set(events.flatMap((event) => (event.type === 'dats.task.output.created' ? event.data.artifacts : [])));
        const created = events.filter(({ type }) => type === 'dats.task.created').length;
        expect(documents).toBe(created + made.size + new Set(events.map(({ projectid }) => projectid)).size);
      }),
      { numRuns: 40 },
    );
  });

  it('says of which events it speaks', async () => {
    await filled();
    const { partition, from, to, events, history, views: compared } = await verify();
    expect(partition).toBe(partitionOf('north', PARTITIONS));
    const [first, last] = await Promise.all([from, to].map((offset) => log.get({ topic: LIFECYCLE, partition, offset: offset! })));
    expect([first!.headers['projectid'], last!.headers['projectid']]).toEqual(['north', 'north']);
    expect(events).toBeGreaterThan(50);
    expect(compared.up_to).toBe((await log.range(LIFECYCLE, partition)).end);
    expect(history).toMatchObject({ state: 'off', why_not: 'no history is kept here' });
  });

  it('of a project without events there is nothing, and nothing differs', async () => {
    await filled();
    expect(await verify('nobody')).toMatchObject({ ok: true, events: 0, from: null, to: null, views: { documents: 0 } });
  });

  it('finds one field of one task, and says which', async () => {
    await filled();
    const [task] = (await tasksOf()).filter(({ artifacts }) => artifacts.length > 0);
    const report = await verify('north', overwritten('task', task!.task_id, { ...task, title: `${task!.title}!` }));
    expect(report).toMatchObject({ ok: false, views: { differences: 1 } });
    expect(report.views.different).toEqual([
      {
        collection: 'task',
        id: task!.task_id,
        what: 'changed',
        place: '/title',
        expected: JSON.stringify(task!.title),
        found: JSON.stringify(`${task!.title}!`),
        expected_version: Math.max(task!.last_offset, task!.marks?.at ?? 0) + 1,
        found_version: Math.max(task!.last_offset, task!.marks?.at ?? 0) + 1,
      },
    ]);
  });

  it('finds that only the order of the keys is another: equal is to the byte', async () => {
    await filled();
    const [task] = await tasksOf();
    const turned = Object.fromEntries(Object.entries(task!).reverse());
    expect(named(await verify('north', overwritten('task', task!.task_id, turned)))).toEqual([
      { collection: 'task', id: task!.task_id, what: 'changed', place: '' },
    ]);
  });

  it('finds a count of the project, and a document that says nothing any more', async () => {
    await filled();
    const project = (await views.get<{ doc: { total: number }; version: number }>('project', 'north'))!;
    const more = { ...project, doc: { ...project.doc, total: project.doc.total + 1 } };
    expect(named(await verify('north', overwritten('project', 'north', more)))).toEqual([
      { collection: 'project', id: 'north', what: 'changed', place: '/doc/total' },
    ]);
    const [artifact] = await artifactsOf();
    const report = await verify('north', overwritten('artifact', artifact!.artifact_id, 'gone'));
    expect(report.views.different).toMatchObject([
      { collection: 'artifact', id: artifact!.artifact_id, what: 'changed', place: '', found: '"gone"', found_version: null },
    ]);
  });

  it.each(['task', 'artifact', 'project'] as const)('finds that a document is missing: %s', async (collection) => {
    await filled();
    const id = { task: (await tasksOf())[0]!.task_id, artifact: (await artifactsOf())[0]!.artifact_id, project: 'north' }[collection];
    const report = await verify('north', hiding(collection, id));
    expect(named(report)).toEqual([{ collection, id, what: 'missing', place: '' }]);
    expect(report.views.different[0]).toMatchObject({ found: null, found_version: null });
  });

  it('finds a task and an artifact that no event made', async () => {
    await filled();
    const [task] = await tasksOf();
    const [artifact] = await artifactsOf();
    const forged: Document[] = [
      { collection: 'task', id: 'forged', version: 1, doc: { ...task, task_id: 'forged' }, indexes: ['project/north/2030/forged'] },
      {
        collection: 'artifact',
        id: 'fake',
        version: 1,
        doc: { ...artifact, artifact_id: 'fake' },
        indexes: [`task/${artifact!.task_id}/fake`],
      },
    ];
    await views.put(forged);
    expect(named(await verify())).toEqual([
      { collection: 'task', id: 'forged', what: 'extra', place: '' },
      { collection: 'artifact', id: 'fake', what: 'extra', place: '' },
    ]);
  });

  it('finds a project that no event made', async () => {
    await filled();
    await views.put([{ collection: 'project', id: 'nobody', version: 1, doc: { doc: {}, version: 1 } }]);
    expect(named(await verify('nobody'))).toEqual([{ collection: 'project', id: 'nobody', what: 'extra', place: '' }]);
  });

  it('finds what no list shows any more, what is listed twice, and what is listed and not there', async () => {
    await filled();
    const [task, other] = await tasksOf();
    const lost = `project/north/${task!.created_at}/${task!.task_id}`;
    const list: ViewStore['list'] = async (collection, prefix, options) => {
      const listed = (await views.list(collection, prefix, options)).filter(({ key }) => key !== lost);
      if (collection !== 'task' || options.after !== undefined) return listed;
      return [...listed, { key: 'project/north/9/twice', id: other!.task_id }, { key: 'project/north/9/x', id: 'nowhere' }];
    };
    expect(named(await verify('north', bent({ list })))).toEqual([
      { collection: 'task', id: 'nowhere', what: 'missing', place: '' },
      { collection: 'task', id: other!.task_id, what: 'extra', place: 'project/north/9/twice' },
      { collection: 'task', id: task!.task_id, what: 'unlisted', place: lost },
    ]);
  });

  it('goes through lists page by page', async () => {
    await append(
      log,
      histories(3_000, randomOf(3)).filter(({ type }) => type === 'dats.task.created'),
    );
    await materialised(log, views, 1_000);
    const counts = await Promise.all(PROJECTS.map(async (project) => (await verify(project)).views));
    expect(counts.map(({ differences }) => differences)).toEqual([0, 0, 0, 0]);
    expect(counts.reduce((sum, { documents }) => sum + documents, 0)).toBe(3_000 + 4);
  });

  it('a document that claims events which the views do not have yet differs', async () => {
    await filled();
    const project = (await views.get<{ version: number }>('project', 'north'))!;
    const ahead = overwritten('project', 'north', { ...project, version: project.version + 1_000 });
    expect(named(await verify('north', ahead))).toEqual([{ collection: 'project', id: 'north', what: 'changed', place: '/version' }]);
  });

  it('views of a log that was restored from older differ, and nobody waits for what is gone', async () => {
    await filled();
    const cut = openMemoryLog({ partitions: PARTITIONS });
    await append(cut, histories(60, randomOf(7)).slice(0, 200));
    const report = await verifyProject({ log: cut, views }, 'north', NEVER);
    expect(report.ok).toBe(false);
    expect(report.views.up_to).toBe((await cut.range(LIFECYCLE, report.partition)).end);
    expect(new Set(report.views.different.map(({ what }) => what))).toEqual(new Set(['changed', 'extra']));
    await cut.close();
  });

  it('names a hundred, and counts all', async () => {
    await filled(600);
    const report = await verify('north', bent({ get: () => undefined }));
    expect(report.views.different).toHaveLength(100);
    expect(report.views.differences).toBe(report.views.documents);
  });

  describe('while the views move', () => {
    /** Every so many answers of the store, the views take in some more records. */
    const moving = (every: number, by: number, change: (doc: unknown, name: string, id: string) => unknown = (doc) => doc): ViewStore => {
      let asked = 0;
      let until = 100;
      let on: Promise<void> = Promise.resolve();
      return bent({
        get: async <T>(name: string, id: string) => {
          if (++asked % every === 0) {
            until += by;
            const next = until;
            on = on.then(() => materialised(log, views, 10, next));
          }
          await on;
          return change(await views.get<T>(name, id), name, id) as T;
        },
      });
    };

    it('nothing is called different', async () => {
      await append(log, histories(300, randomOf(11)));
      await materialised(log, views, 10, 100);
      for (const project of PROJECTS) {
        const before = await views.checkpoint(VIEW, partitionOf(project, PARTITIONS));
        const report = await verify(project, moving(3, 9));
        expect(report.views).toMatchObject({ differences: 0, different: [] });
        expect(report.views.up_to).toBeGreaterThanOrEqual(before);
      }
      expect(Math.max(...(await Promise.all([0, 1].map((partition) => views.checkpoint(VIEW, partition)))))).toBeGreaterThan(150);
    });

    it('a difference in a document that moves on with every look is found all the same', async () => {
      await append(log, histories(300, randomOf(11)));
      await materialised(log, views, 10, 100);
      const wrong = (doc: unknown, name: string): unknown =>
        name === 'project' && doc !== undefined ? { ...(doc as object), doc: { ...(doc as { doc: object }).doc, total: 999 } } : doc;
      const report = await verify('north', moving(1, 3, wrong));
      expect(named(report)).toEqual([{ collection: 'project', id: 'north', what: 'changed', place: '/doc/total' }]);
    });

    it('a store that is emptied meanwhile is said to be behind, not different', async () => {
      await filled();
      let asked = 0;
      const emptied = bent({
        get: async <T>(name: string, id: string) => {
          if (++asked === 5) await views.clear();
          return views.get<T>(name, id);
        },
      });
      await expect(verify('north', emptied)).rejects.toMatchObject({ kind: 'retryable', code: 'views_behind' });
    });

    it('a store that is emptied and filled again meanwhile is not different', async () => {
      await filled();
      let asked = 0;
      const refilled = bent({
        get: async <T>(name: string, id: string) => {
          if (++asked === 5) await views.clear();
          if (asked === 9) await materialised(log, views, 10);
          return views.get<T>(name, id);
        },
      });
      expect(await verify('north', refilled)).toMatchObject({ ok: true, views: { differences: 0 } });
    });
  });

  describe('where it cannot be told', () => {
    it('a log without its beginning is not ok, and why is said', async () => {
      await filled();
      const begun = { ...log, partitions: () => PARTITIONS, range: async () => ({ first: 5, end: 10 }) } as unknown as Log;
      const report = await verifyProject({ log: begun, views }, 'north', NEVER);
      expect(report).toMatchObject({ ok: false, views: { why_not: expect.stringContaining('the log begins at offset 5') } });
    });

    it('documents that do not fit into memory end it', async () => {
      await filled();
      const partition = partitionOf('north', PARTITIONS);
      const options = { pace: openPace(NEVER), signal: NEVER, limitChars: 10_000 };
      const fold = openProjectFold(log, { projectId: 'north', partition }, 0, options);
      const { end } = await log.range(LIFECYCLE, partition);
      await expect(fold.advance(end)).rejects.toMatchObject({ kind: 'terminal', code: 'verify_too_large' });
    });

    it('whoever asked and went away ends it', async () => {
      await filled();
      const gone = new AbortController();
      const leaving = bent({
        checkpoint: async (view, partition) => {
          gone.abort(new Error('gone'));
          return views.checkpoint(view, partition);
        },
      });
      await expect(verifyProject({ log, views: leaving }, 'north', gone.signal)).rejects.toThrow('gone');
    });
  });
});
