// `dats sql`, `stats`, `provenance`, `lineage`, `views` and `migrate` against a small server.
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../program.js';
import { answerJson, type Handler, type KeptIo, keepIo, openTestServer, type TestServer } from '../testing.js';
import { behindOf } from './views.js';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const NOW = Date.parse('2026-11-21T12:00:00.000Z');
const serve = async (handler: Handler): Promise<string> => {
  server = await openTestServer(handler);
  return server.url;
};
const dats = async (argv: readonly string[], options: Partial<KeptIo> = {}) => {
  const io = keepIo({ now: () => NOW, ...options });
  const loadStartNode = (): Promise<never> => Promise.reject(new Error('no node is started where an address is given'));
  const code = await runCli(argv, io, { loadStartNode, sleep: async () => undefined });
  return { code, ...io.printed };
};
const problem = (type: string, status: number, detail: string, retryable = false) => ({
  type: `/problems/${type}`,
  title: 'Title',
  status,
  detail,
  correlation_id: 'c',
  retryable,
});

const ANSWER = {
  columns: [
    { name: 'model', type: 'String' },
    { name: 'n', type: 'UInt64' },
  ],
  rows: [['qwen', 2]],
  row_count: 1,
  elapsed_ms: 3.4,
  rows_read: 12_345,
};

describe('dats sql', () => {
  it('prints a table, and what it took beside it', async () => {
    const url = await serve((_request, response) => answerJson(response, 200, ANSWER));
    expect(await dats(['sql', 'SELECT 1', '--url', url])).toEqual({
      code: 0,
      out: 'MODEL  N\nqwen   2\n',
      err: '1 row in 3ms; 12,345 rows looked at\n',
    });
    expect(server!.requests[0]).toMatchObject({ method: 'POST', url: '/api/v1/query', body: '{"sql":"SELECT 1","parameters":{}}' });
  });

  it('reads the statement from standard input, and gives a JSON document a row', async () => {
    const url = await serve((_request, response) => answerJson(response, 200, ANSWER));
    const stdin = async (): Promise<string> => 'SELECT\n2';
    expect(await dats(['sql', '-', '--json', '--url', url], { stdin })).toEqual({ code: 0, out: '{"model":"qwen","n":2}\n', err: '' });
    expect(server!.requests[0]!.body).toBe('{"sql":"SELECT\\n2","parameters":{}}');
  });

  it('ends with 2 and one line where the statement is refused, with 1 where it is too much', async () => {
    const url = await serve((_request, response, body) =>
      body.includes('DROP')
        ? answerJson(response, 422, problem('query-refused', 422, 'only statements that read are run here'))
        : answerJson(response, 422, problem('query-limit', 422, 'too many rows')),
    );
    expect(await dats(['sql', 'DROP TABLE x', '--url', url])).toEqual({
      code: 2,
      out: '',
      err: 'dats: Title: only statements that read are run here\n',
    });
    expect((await dats(['sql', 'SELECT 1', '--url', url])).code).toBe(1);
    expect(await dats(['sql', ' ', '--url', url])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^dats: what is to be asked\?.*\n$/),
    });
  });
});

describe('dats stats', () => {
  it('without a name lists the questions', async () => {
    const url = await serve((_request, response) => answerJson(response, 200, { stats: [{ name: 'models', question: 'How are they?' }] }));
    expect((await dats(['stats', '--url', url])).out).toBe('NAME    QUESTION\nmodels  How are they?\n');
  });

  it('asks for a span of time that ends now', async () => {
    const url = await serve((_request, response) =>
      answerJson(response, 200, { name: 'models', question: 'How are they?', columns: ANSWER.columns, rows: ANSWER.rows }),
    );
    const result = await dats([
      'stats',
      'models',
      '--since',
      '24h',
      '--until',
      '2026-11-21T13:00:00+01:00',
      '--project',
      'p',
      '--limit',
      '5',
      '--url',
      url,
    ]);
    expect(result).toEqual({ code: 0, out: 'MODEL  N\nqwen   2\n', err: 'How are they?\n' });
    expect(Object.fromEntries(new URL(server!.requests[0]!.url, url).searchParams)).toEqual({
      project_id: 'p',
      since: '2026-11-20T12:00:00.000Z',
      until: '2026-11-21T13:00:00+01:00',
      limit: '5',
    });
  });
});

describe('dats provenance list', () => {
  const one = {
    provenance_id: 'x',
    finished_at: '2026-11-21T10:00:00.000Z',
    status: 'accepted',
    attempt: 1,
    project_id: 'p',
    model: 'm',
    prompt_version: 'g',
    duration_ms: 5,
    taint: 'clean',
    artifacts: [],
  };

  it('goes through the pages until it has enough', async () => {
    const url = await serve((request, response) => {
      const cursor = Number(new URL(request.url!, 'http://x').searchParams.get('cursor') ?? 0);
      const executions = Array.from({ length: 1_000 }, (_, i) => ({ ...one, provenance_id: `x${cursor + i}` }));
      answerJson(response, 200, { executions, next_cursor: String(cursor + 1_000) });
    });
    const { code, out } = await dats([
      'provenance',
      'list',
      '--limit',
      '1500',
      '--status',
      'rejected',
      '--path',
      'src',
      '--since',
      '7d',
      '--json',
      '--url',
      url,
    ]);
    const lines = out.trim().split('\n');
    expect([code, lines.length, JSON.parse(lines.at(-1)!).provenance_id]).toEqual([0, 1_500, 'x1499']);
    expect(server!.requests.map((request) => new URL(request.url, url).search)).toEqual([
      '?status=rejected&q=src&since=2026-11-14T12%3A00%3A00.000Z&limit=1000',
      '?status=rejected&q=src&since=2026-11-14T12%3A00%3A00.000Z&limit=1000&cursor=1000',
    ]);
  });

  it('says that nothing fits', async () => {
    const url = await serve((_request, response) => answerJson(response, 200, { executions: [], next_cursor: null }));
    expect((await dats(['provenance', 'list', '--url', url])).out).toBe('no execution fits\n');
  });
});

describe('bad input', () => {
  it.each<[readonly string[], RegExp]>([
    [['sql'], /^dats: missing required argument 'statement'; see dats --help\n$/],
    [['stats', 'models', '--since', 'yesterday'], /^dats: --since "yesterday" is no time; give 90s, 30m, 24h or 7d .*\n$/],
    [['stats', 'models', '--limit', '0'], /Give a whole number from 1 to 10000/],
    [['provenance'], /^dats: of what\? Give a path, or the id of a task, an artifact or an execution.*\n$/],
    [
      ['provenance', 'list', '--status', 'good'],
      /^dats: --status "good" is not one of accepted, rejected, failed, timed_out, cancelled\n$/,
    ],
    [['provenance', 'list', '--taint', 'bad'], /^dats: --taint "bad" is not one of clean, reverted, suspect, tainted\n$/],
    [['lineage', 'x', '--up', '--down'], /^dats: both --up and --down are given; give one of them\n$/],
    [['lineage', 'x', '--depth', '51'], /Give a whole number from 1 to 50/],
    [['views', 'rebuild'], /^dats: this drops every table of history .* Give --yes to do it\n$/],
  ])('%j: exit code 2, one plain line', async (argv, said) => {
    const { code, out, err } = await dats([...argv, '--url', 'http://127.0.0.1:1']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
  });
});

describe('dats views rebuild', () => {
  it('waits until all is there again, and says how far it is', async () => {
    // The first look may be before anybody noticed that the tables are new.
    const details = [
      'the embedded engine, 0 records behind',
      undefined,
      'the embedded engine, 12000 records behind',
      'the embedded engine, 0 records behind',
    ];
    const url = await serve((request, response) => {
      if (request.method === 'POST') return answerJson(response, 202, { views: ['analytics'], detail: 'begun' });
      const detail = details.shift();
      answerJson(response, 200, {
        status: 'ok',
        version: '1',
        dependencies: [{ name: 'analytics', ok: detail !== undefined, required: false, detail: detail ?? 'away' }],
      });
    });
    expect(await dats(['views', 'rebuild', '--yes', '--url', url])).toEqual({
      code: 0,
      out: 'history is rebuilt: all that the log holds is in it\n',
      err: 'begun\nanalytics: 0 records behind\nanalytics: away\nanalytics: 12,000 records behind\nanalytics: 0 records behind\n',
    });
    expect(details).toEqual([]);
  });

  it('of an empty log ends when nothing comes', async () => {
    const url = await serve((request, response) =>
      request.method === 'POST'
        ? answerJson(response, 202, { views: ['analytics'], detail: 'begun' })
        : answerJson(response, 200, {
            status: 'ok',
            version: '1',
            dependencies: [{ name: 'analytics', ok: true, required: false, detail: '0 records behind' }],
          }),
    );
    expect((await dats(['views', 'rebuild', '--yes', '--json', '--url', url])).out).toBe('{"rebuilt":["analytics"]}\n');
  });

  it('cannot tell how far a history is that does not answer', () => {
    expect([
      behindOf(undefined),
      behindOf({ ok: false, detail: '5 records behind' }),
      behindOf({ ok: true }),
      behindOf({ ok: true, detail: 'x, 5 records behind' }),
    ]).toEqual([undefined, undefined, undefined, 5]);
  });
});

describe('dats migrate', () => {
  it('says what was applied', async () => {
    const answers = [
      { applied: ['001_events.sql', '002_provenance.sql'], generation: 'g' },
      { applied: [], generation: 'g' },
    ];
    const url = await serve((_request, response) => answerJson(response, 200, answers.shift()));
    expect((await dats(['migrate', '--url', url])).out).toBe('applied 001_events.sql\napplied 002_provenance.sql\n');
    expect((await dats(['migrate', '--url', url])).out).toBe('nothing to apply: the tables are up to date\n');
  });
});
