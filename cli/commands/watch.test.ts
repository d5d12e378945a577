import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../program.js';
import { anEvent, answerJson, type Handler, type KeptIo, keepIo, openTestServer, sseOf, type TestServer } from '../testing.js';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const loadStartNode = async (): Promise<never> => {
  throw new Error('no command under test starts a node');
};
const dats = async (argv: readonly string[], options: Partial<KeptIo> = {}): Promise<{ code: number; out: string; err: string }> => {
  const io = keepIo(options);
  const code = await runCli([...argv, '--url', server?.url ?? 'http://127.0.0.1:1'], io, { loadStartNode });
  return { code, ...io.printed };
};

const frame = (event: string, data: object, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const text = (attempt: number, seq: number, said: string) => frame('text', { attempt, seq, text: said }, `${attempt}-${seq}`);
const end = (attempt: number, seq: number) => frame('end', { attempt, seq }, `${attempt}-${seq}`);
const SAID = [text(1, 0, 'def a'), text(1, 1, 'dd\n  pass'), end(1, 2)];
const COMPLETED = frame('final', { state: 'completed' }, 'final');

const view = (state: string) => ({
  task_id: 't1',
  project_id: 'default',
  status: state,
  state,
  title: 'Do it',
  priority: 'normal',
  mode: null,
  model: null,
  children: [],
  depends_on: [],
  created_at: '2026-11-21T10:00:00.000Z',
  completed_at: '2026-11-21T10:00:01.000Z',
  execution_time_ms: 5,
  parent_id: null,
  error: null,
  waiting_for: null,
  flags: [],
  verdict: null,
  artifacts: [],
});

/** A server on which the text of a task comes over several connections, one after another, each cut at its end but the last. */
const serve = async (
  connections: readonly (readonly string[])[],
  state = 'completed',
  before: Handler = () => undefined,
): Promise<void> => {
  let opened = 0;
  server = await openTestServer((request, response, body) => {
    before(request, response, body);
    if (response.writableEnded) return;
    const url = request.url ?? '';
    if (request.method === 'POST') answerJson(response, 202, { task_id: 't1', project_id: 'default' });
    else if (url.endsWith('/stream')) {
      const frames = connections[opened++]!;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (opened === connections.length) response.end(frames.join(''));
      else response.write(frames.join(''), () => response.destroy());
    } else if (url.endsWith('/events')) {
      const last = anEvent('dats.task.completed', 't1', { task_id: 't1', attempt: 1, provenance_id: 'p', execution_time_ms: 5 });
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(sseOf(3, last));
    } else answerJson(response, 200, view(state));
  });
};

describe('dats watch <task> --stream', () => {
  it('shows the text as it is, then the outcome', async () => {
    await serve([[...SAID, COMPLETED]]);
    const { code, out, err } = await dats(['watch', 't1', '--stream'], { tty: true });
    expect(code).toBe(0);
    expect(out).toMatch(/^def add\n {2}pass\ntask {6}t1\n/);
    expect(err).toBe('');
  });

  it('writes nothing but the text into a pipe; the outcome goes to standard error', async () => {
    await serve([[...SAID, COMPLETED]]);
    const { out, err } = await dats(['watch', 't1', '--stream']);
    expect(out).toBe('def add\n  pass\n');
    expect(err).toMatch(/^task {6}t1\n/);
    await server?.close();
    await serve([[...SAID, COMPLETED]]);
    expect(await dats(['watch', 't1', '--stream', '--quiet'])).toEqual({ code: 0, out: 'def add\n  pass\n', err: '' });
  });

  it('says where another attempt begins, where one begins anew, and what is missing', async () => {
    await serve(
      [
        [
          ...SAID,
          text(1, 100, 'again'),
          end(1, 101),
          frame('gap', { attempt: 2, seq: 3, missed: 3 }),
          text(2, 3, 'better\n'),
          end(2, 4),
          frame('final', { state: 'failed' }, 'final'),
        ],
      ],
      'failed',
    );
    const { code, out, err } = await dats(['watch', 't1', '--stream']);
    expect(code).toBe(1);
    expect(out).toBe('def add\n  pass\nagain\nbetter\n');
    expect(err.split('\n').slice(0, 3)).toEqual([
      'dats: attempt 1 begins anew; its text so far counts for nothing',
      'dats: 3 pieces are missing here from the text of attempt 2',
      'dats: attempt 2 begins; the text before it is of attempt 1, which was not accepted',
    ]);
  });

  it('goes on after a cut where it was', async () => {
    await serve([SAID.slice(0, 1), [...SAID.slice(1), COMPLETED]]);
    const { code, out, err } = await dats(['watch', 't1', '--stream']);
    expect([code, out]).toEqual([0, 'def add\n  pass\n']);
    expect(err).toContain('dats: the connection is lost; reconnecting\ndats: connected again\n');
    expect(server?.requests.filter(({ url }) => url.endsWith('/stream')).map(({ lastEventId }) => lastEventId)).toEqual([undefined, '1-0']);
  });

  it('lets no control character through', async () => {
    await serve([[text(1, 0, 'a\u001b[2Jb\u0007\tc\r\n'), end(1, 1), COMPLETED]]);
    expect((await dats(['watch', 't1', '--stream'])).out).toBe('a[2Jb\tc\n');
  });

  it('gives one JSON document a line with --json, the task last', async () => {
    await serve([[...SAID, COMPLETED]]);
    const { out } = await dats(['watch', 't1', '--stream', '--json']);
    const documents = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(documents.slice(0, 4)).toEqual([
      { type: 'text', attempt: 1, seq: 0, text: 'def a' },
      { type: 'text', attempt: 1, seq: 1, text: 'dd\n  pass' },
      { type: 'end', attempt: 1, seq: 2 },
      { type: 'final', state: 'completed' },
    ]);
    expect(documents[4]).toMatchObject({ task_id: 't1', state: 'completed' });
  });

  it('needs a task', async () => {
    const { code, err } = await dats(['watch', '--stream']);
    expect(code).toBe(2);
    expect(err).toMatch(/^dats: --stream shows what the model says about one task; give the id/);
  });
});

describe('dats submit --stream text', () => {
  it('submits, shows the text, and ends with the outcome', async () => {
    await serve([[...SAID, COMPLETED]]);
    const { code, out, err } = await dats(['submit', 'Do it', '--stream', 'text']);
    expect([code, out]).toEqual([0, 'def add\n  pass\n']);
    expect(err).toMatch(/^accepted t1 \(project default\)\ntask {6}t1\n/);
  });

  it('waits for a state that cannot be looked at for a moment', async () => {
    let looks = 0;
    await serve([[...SAID, COMPLETED]], 'completed', (request, response) => {
      if (request.method !== 'GET' || !request.url?.endsWith('/tasks/t1') || ++looks > 1) return;
      const problem = {
        type: '/problems/views-behind',
        title: 'Views behind',
        status: 503,
        detail: 'd',
        correlation_id: 'c',
        retryable: true,
      };
      answerJson(response, 503, problem, { 'retry-after': '0' });
    });
    expect((await dats(['submit', 'Do it', '--stream', 'text'])).code).toBe(0);
    expect(looks).toBe(2);
  });
});
