import { describe, expect, test } from 'vitest';
import { isFault } from '../../schemas/index.js';
import { scriptedAnalytics } from '../testing/analytics.js';
import { decodePlace, edgeStatement, encodePlace, keysStatement, listExecutions, rowsStatement } from './provenance-list.js';
import { textList, timeText } from './sql-text.js';

const PLACE = { time: '2026-11-21T10:00:00.123Z', id: 'p-1' };

describe('a cursor', () => {
  test('comes back as the place it was made of', () => {
    expect(decodePlace(encodePlace(PLACE))).toEqual(PLACE);
  });

  test.each([
    '',
    'x',
    'bnVsbA',
    encodePlace({ time: 'yesterday', id: 'x' }),
    Buffer.from('["2026-11-21T10:00:00.000Z"]').toString('base64url'),
    encodePlace({ time: "2026-11-21T10:00:00.000Z' OR 1", id: 'x' }),
  ])('%j is refused', (cursor) => {
    expect(() => decodePlace(cursor)).toThrow(expect.objectContaining({ code: 'invalid_parameter' }));
  });
});

describe('statements', () => {
  test('have the conditions of the sort key first, and every value bound', () => {
    const { sql, parameters } = keysStatement(
      { status: 'rejected', q: "it's", project_id: 'p', model: 'm', since: '2026-11-21T12:00:00+02:00' },
      PLACE,
      undefined,
      51,
    );
    expect(sql).toBe(
      "SELECT project_id, time, provenance_id FROM dats.provenance WHERE project_id = {project:String} AND time >= {since:DateTime64(3, 'UTC')} AND model = {model:String} AND status = {status:String} AND arrayExists(path -> position(path, {q:String}) > 0, artifact_paths) AND time <= {after_time:DateTime64(3, 'UTC')} AND (time, provenance_id) < ({after_time:DateTime64(3, 'UTC')}, {after_id:String}) ORDER BY time DESC, provenance_id DESC LIMIT 51",
    );
    expect(parameters).toEqual({
      project: 'p',
      since: '2026-11-21 10:00:00.000',
      model: 'm',
      status: 'rejected',
      q: "it's",
      after_time: '2026-11-21 10:00:00.123',
      after_id: 'p-1',
    });
  });

  test('for the edge of a page read no ids', () => {
    const { sql } = edgeStatement({ model: 'm' }, PLACE, 51);
    expect(sql).not.toContain('provenance_id');
    expect(sql).toContain('LIMIT 1 OFFSET 50');
  });

  test('for rows are by their keys', () => {
    const key = (provenance_id: string) => ({ project_id: 'p', time: PLACE.time, provenance_id });
    expect(rowsStatement([key('a'), key("b'\\")])).toMatch(
      /WHERE project_id IN \('p'\) AND time IN \(toDateTime64\('2026-11-21 10:00:00.123', 3, 'UTC'\)\) AND provenance_id IN \('a', 'b\\'\\\\'\)$/,
    );
  });
});

describe('values as text', () => {
  test('end no literal', () => {
    expect(textList(["a'", '\\', "\\'"])).toBe(String.raw`('a\'', '\\', '\\\'')`);
    expect(textList([])).toBe('(NULL)');
  });

  test('are times in UTC that a column can hold', () => {
    expect(['2026-11-21T10:00:00+01:00', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z'].map(timeText)).toEqual([
      '2026-11-21 09:00:00.000',
      '1970-01-01 00:00:00.000',
      '2261-01-01 00:00:00.000',
    ]);
  });
});

describe('a list', () => {
  const key = (n: number) => ({ project_id: 'p', time: `2026-11-21T10:00:0${n}.000Z`, provenance_id: `e${n}` });
  const row = (n: number) => ({ ...key(n), status: 'accepted', artifact_ids: [`a${n}`], artifact_paths: ['x.py'] });

  test('asks for one more than the page, and goes on after the last one shown', async () => {
    const { analytics, asked } = scriptedAnalytics([
      [/^SELECT project_id, time/, () => [key(3), key(2), key(1)]],
      [/^SELECT provenance_id, project_id/, () => [row(2), row(3)]],
      [/tainted/, () => [{ id: 'a2', taint: 'tainted' }]],
    ]);
    const page = await listExecutions(analytics, { project_id: 'p', limit: 2 });
    expect(page.executions.map(({ provenance_id, taint }) => [provenance_id, taint])).toEqual([
      ['e3', 'clean'],
      ['e2', 'tainted'],
    ]);
    expect(decodePlace(page.next!)).toEqual({ time: key(2).time, id: 'e2' });
    expect(asked).toHaveLength(3);
  });

  test('without a project is bounded in time first; nothing found asks no more', async () => {
    const { analytics, asked } = scriptedAnalytics([[/^SELECT time/, () => [{ time: key(1).time }]]]);
    expect(await listExecutions(analytics, { limit: 2 })).toEqual({ executions: [], next: null });
    expect(asked.map(({ parameters }) => parameters)).toEqual([{}, { edge: '2026-11-21 10:00:01.000' }]);
  });

  test('passes on what history answers', async () => {
    const { analytics } = scriptedAnalytics([[/./, () => Promise.reject(new Error('away'))]]);
    await expect(listExecutions(analytics, { project_id: 'p', limit: 2 })).rejects.toThrow('away');
    await expect(listExecutions(analytics, { limit: 2, cursor: 'x' })).rejects.toSatisfy((error) => isFault(error, 'terminal'));
  });
});
