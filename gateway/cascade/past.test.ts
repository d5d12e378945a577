import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configBefore, isCascadeEvent, NONE, openProject, planOf, take } from '../../processors/cascade/index.js';
import { openCascadeWorld, requestOf } from '../../processors/cascade/testing/cascade-world.js';
import { type DatsEvent, LIFECYCLE, type RevalidationVerdict } from '../../schemas/index.js';
import { outgoing } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { projectAt, stateAt } from './past.js';

const never = new AbortController().signal;
const PATHS = ['a.py', 'b.py', 'c.py'];
const until = (offset: number) => ({ partition: 0, projectId: 'p', first: 0, until: offset });

type Deed =
  | { readonly kind: 'make'; readonly path: number; readonly from: readonly number[] }
  | { readonly kind: 'taint' | 'back'; readonly which: number };
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('make' as const), path: fc.nat(2), from: fc.array(fc.nat(20), { maxLength: 2 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('taint' as const, 'back' as const), which: fc.nat(20) }) },
);

/** A history with tasks, cascades and rollbacks, as the deciders make it. */
const historyOf = (deeds: readonly Deed[]): readonly DatsEvent[] => {
  const world = openCascadeWorld((id): RevalidationVerdict => (id.charCodeAt(0) % 2 === 0 ? 'cleared' : 'failed'));
  const made: string[] = [];
  for (const [i, one] of deeds.entries()) {
    if (one.kind === 'make') {
      const path = PATHS[one.path]!;
      const from = [...new Set(one.from.filter((n) => n < made.length).map((n) => made[n]!))];
      made.push(world.make(`t${i}`, { [path]: `text ${i}` }, from)[path]!);
      continue;
    }
    if (made.length === 0) continue;
    if (one.kind === 'taint') world.append('dats.cascade.requested', requestOf(`c${i}`, { artifact_id: made[one.which % made.length]! }));
    else {
      const target = { kind: 'offset' as const, offset: (one.which * 7) % world.log.length, said: 'somewhere' };
      world.append('dats.rollback.requested', { rollback_id: `r${i}`, target, tasks: 'close', reason: '', by: 'ada' });
    }
    world.settle();
  }
  return world.log;
};

describe('a project as it was', () => {
  test('is what it was shown as when the log ended there, at every place', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(deed, { minLength: 1, maxLength: 9 }), async (deeds) => {
        const events = historyOf(deeds);
        const log = openMemoryLog({ partitions: 1 });
        const shown: unknown[] = [];
        const project = openProject('p', 0);
        for (const [offset, event] of events.entries()) {
          await log.append([outgoing(LIFECYCLE, event)]);
          if (isCascadeEvent(event)) take(project, event, offset);
          const { end } = await log.range(LIFECYCLE, 0);
          const now = await stateAt(log, until(end), never);
          shown.push(now);
          // The same as the fold that cascades go on from.
          const heads = [...project.versions.paths()].sort().flatMap((path) => {
            const head = project.versions.head(path);
            return head === NONE ? [] : [[path, project.graph.idOf(head), project.marks.of(head)]];
          });
          expect(now.files.map(({ path, version }) => [path, version.artifact_id, version.mark])).toEqual(heads);
          expect(now.tasks.filter(({ state }) => state === 'completed').length).toBe(
            [...project.tasks.values()].filter(({ state }) => state === 'completed').length,
          );
          expect([now.events, now.position, now.config_version]).toEqual([offset + 1, `p0-${offset}`, configBefore(project, offset + 1)]);
        }
        for (const [offset, then] of shown.entries()) expect(await stateAt(log, until(offset + 1), never)).toEqual(then);
        for (const [path, at] of PATHS.flatMap((one) => events.map((_, offset) => [one, offset] as const))) {
          const then = (shown[at] as Awaited<ReturnType<typeof stateAt>>).files.find((file) => file.path === path)?.version.artifact_id;
          const head = project.versions.headAt(path, at + 1);
          expect(head === NONE ? undefined : project.graph.idOf(head)).toBe(then);
        }
        await log.close();
      }),
      { numRuns: 15 },
    );
  });

  test('gives the plan that a rollback was begun with', async () => {
    const events = historyOf([
      { kind: 'make', path: 0, from: [] },
      { kind: 'make', path: 0, from: [0] },
      { kind: 'back', which: 1 },
    ]);
    const log = openMemoryLog({ partitions: 1 });
    await log.append(events.map((event) => outgoing(LIFECYCLE, event)));
    const requested = events.findIndex(({ type }) => type === 'dats.rollback.requested');
    const then = await projectAt(log, until(requested), never);
    const target = { kind: 'offset' as const, offset: 7, said: '' };
    expect(planOf(then, target, 'close', requested).steps).toHaveLength(1);
    const now = await projectAt(log, until(events.length), never);
    expect(planOf(now, target, 'close', requested).steps).toHaveLength(0);
    await log.close();
  });

  test('is told whole or not at all', async () => {
    const log = openMemoryLog({ partitions: 1 });
    await log.append(historyOf([{ kind: 'make', path: 0, from: [] }]).map((event) => outgoing(LIFECYCLE, event)));
    await expect(stateAt(log, until(4), AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
    await log.close();
  });
});
