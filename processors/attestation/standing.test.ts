import { describe, expect, test } from 'vitest';
import { CLEAN, isClean, standingsOf } from './standing.js';
import { artifactOf, generation, sayings } from './testing/generation.js';

const { artifact, task } = generation();
const say = sayings(artifact, task);
const id = artifact.artifact_id;
const standing = (...events: Parameters<typeof standingsOf>[0] extends Iterable<infer E> ? E[] : never) =>
  standingsOf(events, [id]).get(id)!;

test('an artifact of which nothing is said is clean', () => {
  expect(standing()).toEqual(CLEAN);
  expect(isClean(standing())).toBe(true);
});

describe('of cascades', () => {
  test('a taint holds, whatever another cascade clears', () => {
    const seen = standing(
      say.suspect(10, 'c1'),
      say.tainted(11, 'c2'),
      say.revalidated(12, 'c1', 'cleared'),
      say.revalidated(13, 'c2', 'cleared'),
    );
    expect(seen).toMatchObject({
      mark: 'tainted',
      taken_back: false,
      markings: [{ kind: 'tainted', by: 'c2', reason: 'poisoned model', offset: 11 }],
    });
  });
  test('a suspect is clean once every cascade that held it so has cleared it', () => {
    const both = [say.suspect(10, 'c1'), say.suspect(11, 'c2')];
    expect(standing(...both, say.revalidated(12, 'c1', 'cleared')).mark).toBe('suspect');
    expect(isClean(standing(...both, say.revalidated(12, 'c1', 'cleared'), say.revalidated(13, 'c2', 'cleared')))).toBe(true);
  });
  test('a suspect that did not pass stays suspect until its taint is said', () => {
    expect(standing(say.suspect(10, 'c1'), say.revalidated(11, 'c1', 'failed')).mark).toBe('suspect');
    expect(standing(say.suspect(10, 'c1'), say.revalidated(11, 'c1', 'failed'), say.tainted(12, 'c1')).mark).toBe('tainted');
  });
  test('an unproven suspect stays suspect until it is cleared, or the taint is said', () => {
    const unproven = [say.suspect(10, 'c1'), say.revalidated(11, 'c1', 'unproven')];
    expect(standing(...unproven).mark).toBe('suspect');
    expect(standing(...unproven, say.revalidated(12, 'c1', 'cleared')).mark).toBe('clean');
    expect(standing(...unproven, say.tainted(12, 'c1')).mark).toBe('tainted');
  });
  test('a suspicion that comes late takes no taint away', () => {
    expect(standing(say.tainted(10, 'c1'), say.suspect(11, 'c1')).mark).toBe('tainted');
  });
});

describe('of rollbacks', () => {
  test('what was taken back is so until it is restored', () => {
    expect(standing(say.reverted(10, 'r1'))).toMatchObject({
      mark: 'clean',
      taken_back: true,
      markings: [{ kind: 'taken_back', by: 'r1' }],
    });
    expect(isClean(standing(say.reverted(10, 'r1')))).toBe(false);
    expect(isClean(standing(say.reverted(10, 'r1'), say.restored(11, 'r2')))).toBe(true);
  });
  test('a version to which a path goes back stands again', () => {
    const newer = artifactOf('t-2', artifact.path, 'newer');
    expect(isClean(standing(say.reverted(10, 'r1'), sayings(newer, 't-2').reverted(11, 'r2', id)))).toBe(true);
  });
  test('restoring clears no taint', () => {
    const seen = standing(say.tainted(9, 'c1'), say.reverted(10, 'r1'), say.restored(11, 'r2'));
    expect(seen).toMatchObject({ mark: 'tainted', taken_back: false });
  });
});

test('what is said of others is not said of it', () => {
  const other = artifactOf('t-2', 'b.py', 'x');
  expect(standing(sayings(other, 't-2').tainted(10, 'c1'), sayings(other, 't-2').reverted(11, 'r1'))).toEqual(CLEAN);
});
