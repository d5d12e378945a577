import { describe, expect, it } from 'vitest';
import { dependencyGraph } from './dependency-graph.js';

const ARTIFACTS = 20_000;
const project = dependencyGraph(9, ARTIFACTS);
const places = [...project.ids.keys()];
const placeOf = new Map(project.ids.map((id, place) => [id, place]));

describe('a generated project', () => {
  it('is the same for the same seed, and another for another', () => {
    const told = (seed: number) => {
      const { factAt, consumedAt } = dependencyGraph(seed, 500);
      return Array.from({ length: 500 }, (_, place) => [factAt(place), consumedAt(place)]);
    };
    expect(told(1)).toEqual(told(1));
    expect(told(2)).not.toEqual(told(1));
  });

  it('makes nothing from what comes later, and nothing twice from the same', () => {
    for (const place of places) {
      const consumed = project.consumedAt(place);
      expect(new Set(consumed).size).toBe(consumed.length);
      expect(consumed.every((id) => placeOf.get(id)! < place)).toBe(true);
    }
  });

  it('has five edges an artifact, one to three artifacts a task, hubs and ends', () => {
    const readers = new Map<string, number>();
    const made = new Map<string, number>();
    for (const place of places) {
      for (const id of project.consumedAt(place)) readers.set(id, (readers.get(id) ?? 0) + 1);
      const { task_id } = project.factAt(place);
      made.set(task_id, (made.get(task_id) ?? 0) + 1);
    }
    expect(project.edges).toBe([...readers.values()].reduce((sum, count) => sum + count, 0));
    expect(project.edges / ARTIFACTS).toBeGreaterThan(4.7);
    expect(project.edges / ARTIFACTS).toBeLessThan(5.1);
    expect(new Set(made.values())).toEqual(new Set([1, 2, 3]));
    expect(Math.max(...readers.values())).toBeGreaterThan(500);
    expect(readers.size).toBeLessThan(ARTIFACTS / 2);
  });
});
