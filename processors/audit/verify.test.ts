import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditProblem, AuditReport } from '../../schemas/index.js';
import { auditReportSchema } from '../../schemas/index.js';
import type { AuditEvent } from './leaf.js';
import { coveredBy, eventAt, histories, historyOf, KEY, keyOf, PROJECT, signedHistory, type WrittenHistory } from './testing/histories.js';
import { PROBLEMS_LIMIT, verifyHistory } from './verify.js';

const verify = async (history: WrittenHistory): Promise<AuditReport> =>
  auditReportSchema.parse(await verifyHistory({ project: PROJECT, ...history, vkey: KEY.vkey }));
const kinds = ({ problems }: AuditReport): string[] => problems.map(({ kind }) => kind);
const edited = <T>(list: readonly T[], at: number, edit: (item: T) => T): T[] => list.map((item, i) => (i === at ? edit(item) : item));
const without = <T>(list: readonly T[], at: number): T[] => list.filter((_, i) => i !== at);
const withItem = <T>(list: readonly T[], at: number, item: T): T[] => [...list.slice(0, at), item, ...list.slice(at)];

/** Two places of the covered part, by random numbers. */
const places = fc.record({ history: histories, a: fc.nat(), b: fc.nat() });

describe('a history that nobody touched', () => {
  test('is right, and what no checkpoint covers is counted', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const covered = coveredBy(history);
        expect(await verify(history)).toMatchObject({
          ok: true,
          events: history.events.length,
          size: covered,
          covered,
          uncovered: history.events.length - covered,
          checkpoints: { total: history.checkpoints.length, verified: history.checkpoints.length },
          root: history.checkpoints.at(-1)!.root,
          problems: [],
        });
      }),
    );
  });

  test('without checkpoints proves nothing, and says so', async () => {
    expect(await verify({ events: historyOf(5, 5).events, checkpoints: [] })).toMatchObject({
      ok: true,
      size: 0,
      root: null,
      covered: 0,
      uncovered: 5,
    });
    expect(await verify({ events: [], checkpoints: [] })).toMatchObject({ ok: true, size: 0, events: 0 });
  });

  test('is right with a checkpoint that was said twice', async () => {
    const history = historyOf(12, 4);
    expect((await verify({ ...history, checkpoints: withItem(history.checkpoints, 1, history.checkpoints[0]!) })).ok).toBe(true);
  });
});

/** What is changed of an event: each makes it another one. */
const CHANGES: readonly ((event: AuditEvent) => AuditEvent)[] = [
  (event) => ({ ...event, headers: { ...event.headers, actor: 'eve' } }),
  (event) => ({ ...event, headers: { ...event.headers, added: '' } }),
  (event) => ({ ...event, headers: { ...event.headers, datadigest: 'sha256:00' } }),
  ({ offset, headers, ...content }) => ({ offset, headers: Object.fromEntries(Object.entries(headers).slice(1)), ...content }),
  ({ offset, headers, data, raw }) =>
    raw === undefined
      ? { offset, headers, data: { ...(data as object), n: -1 } }
      : { offset, headers, raw: Buffer.concat([Buffer.from(raw, 'base64'), Buffer.of(0)]).toString('base64') },
];

describe('one edit is told by its name and its place', () => {
  test('of data or an attribute', async () => {
    await fc.assert(
      fc.asyncProperty(places, fc.constantFrom(...CHANGES), async ({ history, a }, change) => {
        const at = a % coveredBy(history);
        const report = await verify({ ...history, events: edited(history.events, at, change) });
        expect(report.ok).toBe(false);
        expect(report.covered).toBe(coveredBy(history) - 1);
        expect(report.problems).toMatchObject([{ kind: 'changed', offset: history.events[at]!.offset, leaf: at }]);
      }),
    );
  });

  test('an event that is taken out', async () => {
    await fc.assert(
      fc.asyncProperty(places, async ({ history, a }) => {
        const at = a % coveredBy(history);
        const report = await verify({ ...history, events: without(history.events, at) });
        const isNewest = at === history.events.length - 1;
        const [offset, after, before] = [
          history.events[at]!.offset,
          history.events[at - 1]?.headers.id,
          history.events[at + 1]?.headers.id,
        ];
        expect(report.problems).toMatchObject([{ kind: isNewest ? 'truncated' : 'missing', offset, leaf: at }]);
        expect(report.problems[0]!.after).toBe(after);
        if (at + 1 < coveredBy(history)) expect(report.problems[0]!.before).toBe(before);
      }),
    );
  });

  test('an event that is put in, at an offset that was free, or in place of the next one that all make room for', async () => {
    await fc.assert(
      fc.asyncProperty(places, fc.boolean(), async ({ history, a }, makeRoom) => {
        const at = a % coveredBy(history);
        const { offset } = history.events[at]!;
        const free = history.events[at - 1]?.offset !== offset - 1 && offset > 0;
        if (!makeRoom && !free) return;
        const forged = eventAt(1_000, makeRoom ? offset : offset - 1);
        const later = history.events.slice(at).map((event) => (makeRoom ? { ...event, offset: event.offset + 1 } : event));
        const report = await verify({ ...history, events: [...history.events.slice(0, at), forged, ...later] });
        expect(report.problems.filter(({ kind }) => kind === 'inserted')).toMatchObject([
          { offset: forged.offset, event_id: forged.headers.id },
        ]);
        const shifted = report.problems.filter(({ kind }) => kind === 'reordered');
        expect(shifted.reduce((sum, { count }) => sum + (count ?? 1), 0)).toBe(makeRoom ? coveredBy(history) - at : 0);
        expect(kinds(report).every((kind) => kind === 'inserted' || kind === 'reordered')).toBe(true);
      }),
    );
  });

  test('two events in each other’s place', async () => {
    await fc.assert(
      fc.asyncProperty(places, fc.boolean(), async ({ history, a, b }, withOffsets) => {
        const [i, j] = [a % coveredBy(history), b % coveredBy(history)];
        if (i === j) return;
        const { events } = history;
        const [first, second] = [events[i]!, events[j]!];
        const swapped = events.map((event, at) => {
          if (at === i) return withOffsets ? second : { ...second, offset: first.offset };
          if (at === j) return withOffsets ? first : { ...first, offset: second.offset };
          return event;
        });
        const report = await verify({ ...history, events: swapped });
        expect(new Set(kinds(report))).toEqual(new Set(['reordered']));
        const named = report.problems.map(({ event_id }) => event_id);
        expect(named.some((id) => id === first.headers.id || id === second.headers.id)).toBe(true);
      }),
    );
  });

  test('a tail that is cut off', async () => {
    await fc.assert(
      fc.asyncProperty(places, async ({ history, a }) => {
        const kept = a % coveredBy(history);
        const report = await verify({ ...history, events: history.events.slice(0, kept) });
        expect(report.problems).toMatchObject([
          { kind: 'truncated', offset: history.events[kept]!.offset, leaf: kept, count: coveredBy(history) - kept },
        ]);
      }),
    );
  });

  test('a checkpoint that is taken out: the next one proves its events all the same', async () => {
    await fc.assert(
      fc.asyncProperty(places, async ({ history, a }) => {
        if (history.checkpoints.length < 2) return;
        const at = a % (history.checkpoints.length - 1);
        const report = await verify({ ...history, checkpoints: without(history.checkpoints, at) });
        expect(report.problems).toMatchObject([{ kind: 'inconsistent_checkpoint', checkpoint: history.checkpoints[at + 1]!.size }]);
        expect(report.covered).toBe(coveredBy(history));
      }),
    );
  });

  test('a list of leaves that was changed, where the events are right', async () => {
    await fc.assert(
      fc.asyncProperty(places, async ({ history, a, b }) => {
        const at = a % history.checkpoints.length;
        const leaf = b % history.checkpoints[at]!.leaves.length;
        const forged = edited(history.checkpoints, at, (one) => ({
          ...one,
          leaves: edited(one.leaves, leaf, ([offset]): [number, string] => [offset, Buffer.alloc(32, 9).toString('base64')]),
        }));
        const report = await verify({ ...history, checkpoints: forged });
        expect(report.problems).toMatchObject([{ kind: 'bad_root', checkpoint: history.checkpoints[at]!.size }]);
        expect(report.covered).toBe(coveredBy(history));
      }),
    );
  });

  test.each(['size', 'root', 'project_id', 'note'] as const)('a checkpoint whose %s was changed', async (field) => {
    const history = historyOf(20, 5);
    const other = {
      size: 11,
      root: Buffer.alloc(32, 1).toString('base64'),
      project_id: 'other',
      note: history.checkpoints[1]!.note.replace('10', '12'),
    };
    const report = await verify({ ...history, checkpoints: edited(history.checkpoints, 1, (one) => ({ ...one, [field]: other[field] })) });
    expect(kinds(report)).toEqual(
      {
        size: ['bad_root'],
        root: ['bad_root'],
        project_id: ['inconsistent_checkpoint', 'inconsistent_checkpoint'],
        note: ['bad_signature'],
      }[field],
    );
    expect(report).toMatchObject({ ok: false, covered: 20, size: 20 });
  });
});

describe('who has not the key', () => {
  test('can change an event and the checkpoint that covers it, but not sign that: it shows there and at the next one', async () => {
    await fc.assert(
      fc.asyncProperty(places, async ({ history, a }) => {
        const at = a % coveredBy(history);
        const events = edited(history.events, at, CHANGES[0]!);
        const ends = history.checkpoints.map(({ size }) => size);
        const theirs = signedHistory(events, ends, keyOf(2));
        const first = ends.findIndex((size) => size > at);
        const checkpoints = history.checkpoints.map((one, i) => (i === first ? theirs.checkpoints[i]! : one));
        const report = await verify({ events, checkpoints });
        expect(kinds(report)).toContain('bad_signature');
        expect(report.problems).toContainEqual(expect.objectContaining({ kind: 'bad_signature', checkpoint: ends[first] }));
        if (first + 1 < ends.length)
          expect(report.problems).toContainEqual(expect.objectContaining({ kind: 'bad_root', checkpoint: ends[first + 1] }));
        expect(report.size).toBe(ends[first - 1] ?? 0);
      }),
    );
  });

  test('cannot sign anew what was signed', async () => {
    const history = historyOf(20, 5);
    const theirs = signedHistory(edited(history.events, 3, CHANGES[0]!), [5, 10, 15, 20], keyOf(2));
    expect(await verify(theirs)).toMatchObject({ ok: false, size: 0, covered: 0, uncovered: 20, checkpoints: { total: 4, verified: 0 } });
  });

  test('cannot pass an own checkpoint among the right ones, nor one of another project', async () => {
    const history = historyOf(20, 5);
    const theirs = signedHistory(history.events, [7], keyOf(2)).checkpoints[0]!;
    expect(await verify({ ...history, checkpoints: withItem(history.checkpoints, 1, theirs) })).toMatchObject({
      covered: 20,
      problems: [{ kind: 'bad_signature', checkpoint: 7 }],
    });
  });
});

/** Any of the edits above, anywhere. */
type Edit = (history: WrittenHistory, a: number, b: number) => WrittenHistory;
const EDITS: readonly Edit[] = [
  (h, a, b) => ({ ...h, events: edited(h.events, a % h.events.length, CHANGES[b % CHANGES.length]!) }),
  (h, a) => ({ ...h, events: without(h.events, a % h.events.length) }),
  (h, a, b) => ({ ...h, events: withItem(h.events, a % h.events.length, eventAt(1_000 + b, h.events[a % h.events.length]!.offset)) }),
  (h, a, b) => {
    const [i, j] = [a % h.events.length, b % h.events.length];
    return { ...h, events: h.events.map((event, at) => (at === i ? h.events[j]! : at === j ? h.events[i]! : event)) };
  },
  (h, a) => ({ ...h, events: h.events.slice(0, 1 + (a % h.events.length)) }),
  (h, a) => ({ ...h, checkpoints: h.checkpoints.length > 1 ? without(h.checkpoints, a % (h.checkpoints.length - 1)) : h.checkpoints }),
  (h, a) => ({ ...h, checkpoints: edited(h.checkpoints, a % h.checkpoints.length, (one) => ({ ...one, note: `${one.note} ` })) }),
];

test('several edits never pass: what differs in the covered part is told, and only what differs', async () => {
  const edits = fc.array(fc.record({ edit: fc.nat({ max: EDITS.length - 1 }), a: fc.nat(), b: fc.nat() }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(histories, edits, async (history, chosen) => {
      let broken = history;
      for (const { edit, a, b } of chosen) if (broken.events.length > 0) broken = EDITS[edit]!(broken, a, b);
      const report = await verify(broken);
      const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
      const size = coveredBy(history);
      const end = history.events[size - 1]!.offset;
      const intact =
        same(broken.events.slice(0, size), history.events.slice(0, size)) &&
        broken.events.slice(size).every(({ offset }) => offset > end) &&
        same(broken.checkpoints, history.checkpoints);
      expect(report.ok).toBe(intact);
      // Nobody is accused who stands where it stood, as it was.
      const untouched = new Map(history.events.map((event) => [event.offset, event]));
      for (const { kind, offset, event_id } of report.problems as AuditProblem[])
        if (kind === 'changed')
          expect(
            same(
              untouched.get(offset!),
              broken.events.find(({ headers }) => headers.id === event_id),
            ),
          ).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test('problems without end are counted, and the first are listed', async () => {
  const history = historyOf(PROBLEMS_LIMIT * 2, PROBLEMS_LIMIT);
  const report = await verify({ ...history, events: history.events.map(CHANGES[0]!) });
  expect(report.problems_total).toBe(PROBLEMS_LIMIT * 2);
  expect(report.problems).toHaveLength(PROBLEMS_LIMIT);
});

test('a key that is none is refused', async () => {
  await expect(verifyHistory({ project: PROJECT, events: [], checkpoints: [], vkey: 'dats+00+AA==' })).rejects.toMatchObject({
    code: 'bad_vkey',
  });
});
