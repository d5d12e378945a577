import { afterEach, describe, expect, it } from 'vitest';
import type { VerifyReport } from '../../schemas/index.js';
import { openSession } from '../session.js';
import { answerJson, type Handler, keepIo, openTestServer, type TestServer } from '../testing.js';
import { verifyHistory } from './verify-history.js';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const verify = async (answer: VerifyReport | Handler, options: { readonly json?: boolean } = {}) => {
  server = await openTestServer(typeof answer === 'function' ? answer : (_request, response) => answerJson(response, 200, answer));
  const io = keepIo();
  const loadStartNode = (): Promise<never> => Promise.reject(new Error('no node is started where an address is given'));
  const code = await verifyHistory(openSession(io, { loadStartNode }, { url: server.url, ...options }), 'web site');
  return { code, ...io.printed };
};

const VIEWS: VerifyReport['views'] = { documents: 512, up_to: 20_412, differences: 0, different: [], why_not: null };
const HISTORY: VerifyReport['history'] = {
  state: 'compared',
  why_not: null,
  rows: 14_203,
  up_to: 20_412,
  differences: 0,
  different: [],
  tables: [{ table: 'dats.provenance', expected: 480, found: 480 }],
  not_compared: ['telemetry'],
};
const aReport = (change: Partial<VerifyReport> = {}): VerifyReport => ({
  ok: true,
  project_id: 'p',
  partition: 3,
  events: 14_203,
  from: 12,
  to: 20_411,
  views: VIEWS,
  history: HISTORY,
  took_ms: 640,
  events_per_second: 120_000,
  ...change,
});

const VIEW = { collection: 'task', id: 't1', expected_version: 5, found_version: 5 } as const;
const ROW = { partition: 3, type: 'dats.task.created', column: null, expected: null, found: null } as const;

describe('dats replay --verify', () => {
  it('says in plain words how much is equal', async () => {
    expect(await verify(aReport())).toEqual({
      code: 0,
      out: '14,203 events folded\n512 documents equal to the byte\n14,203 rows of history equal, and the 1 table made of them\n',
      err: 'not compared: telemetry\ntook 640ms; folded 120,000 events a second\n',
    });
    expect(server!.requests[0]).toMatchObject({ method: 'GET', url: '/api/v1/projects/web%20site/verify' });
  });

  it('says each difference by name, and ends with 1', async () => {
    const views: VerifyReport['views'] = {
      ...VIEWS,
      differences: 7,
      different: [
        { ...VIEW, what: 'changed', place: '/title', expected: '"a"', found: '"b\\u001b[31m"' },
        { ...VIEW, what: 'changed', place: '', expected: '{}', found: null },
        { ...VIEW, what: 'missing', place: '', expected: '{}', found: null },
        { ...VIEW, what: 'extra', place: '', expected: null, found: '{}' },
        { ...VIEW, what: 'extra', place: 'project/p/9', expected: null, found: null },
        { ...VIEW, what: 'unlisted', place: 'project/p/1', expected: null, found: null },
      ],
    };
    const history: VerifyReport['history'] = {
      ...HISTORY,
      differences: 7,
      different: [
        { ...ROW, offset: 17, what: 'changed', column: 'model', expected: 'm', found: 'n' },
        { ...ROW, offset: 18, what: 'missing' },
        { ...ROW, offset: 19, what: 'doubled' },
        { ...ROW, offset: 20, what: 'extra' },
      ],
      tables: [...HISTORY.tables, { table: 'dats.artifacts', expected: 1_200, found: 7 }],
    };
    const { code, out } = await verify(aReport({ ok: false, views, history }));
    expect(code).toBe(1);
    expect(out.split('\n')).toEqual([
      '14,203 events folded',
      '7 differences in 512 documents',
      '  task t1 at /title: must be "a", is "b\\u001b[31m"',
      '  task t1: must be {}, is nothing',
      '  task t1 is missing',
      '  task t1 is there, and no event made it',
      '  task t1 is listed where it should not be: project/p/9',
      '  task t1 is not listed under project/p/1',
      '  … and 1 more',
      '7 differences in 14,203 rows of history',
      '  p3-17 dats.task.created, column model: must be m, is n',
      '  p3-18 dats.task.created has no row',
      '  p3-19 dats.task.created is there more than once',
      '  p3-20 dats.task.created is a row, and no record of the log',
      '  … and 2 more',
      '  dats.artifacts: must have 1,200, has 7',
      '',
    ]);
  });

  it('says up to where history was compared when it is behind, which is no difference', async () => {
    const { code, err } = await verify(aReport({ history: { ...HISTORY, up_to: 100, not_compared: [] } }));
    expect(code).toBe(0);
    expect(err).toContain('history is behind the log: compared up to p3-100, documents up to p3-20412\n');
  });

  it('history that is not kept is said, and is no failure; one that is away is', async () => {
    const none = { ...HISTORY, rows: 0, tables: [], not_compared: [] };
    const off = await verify(aReport({ history: { ...none, state: 'off', why_not: 'no history is kept here' } }));
    expect([off.code, off.out.split('\n')[2]]).toEqual([0, 'history was not compared: no history is kept here']);
    await server!.close();
    const away = await verify(aReport({ ok: false, history: { ...none, state: 'unavailable', why_not: 'it is away' } }));
    expect([away.code, away.out.split('\n')[2]]).toEqual([1, 'history was not compared: it is away']);
    await server!.close();
    const short = await verify(aReport({ ok: false, views: { ...VIEWS, why_not: 'the log begins at offset 5' } }));
    expect([short.code, short.out.split('\n')[1]]).toEqual([1, 'documents were not compared: the log begins at offset 5']);
  });

  it('--json: the report, on one line; an answer that began with blanks is read', async () => {
    const report = aReport();
    const slow: Handler = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('   ');
      response.end(JSON.stringify(report));
    };
    const { code, out, err } = await verify(slow, { json: true });
    expect([code, JSON.parse(out), err]).toEqual([0, report, '']);
  });
});
