import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskView } from '../schemas/index.js';
import { interrupted } from './exit.js';
import { runCli } from './program.js';
import { anEvent, answerJson, type Handler, type KeptIo, keepIo, openTestServer, sseOf, type TestServer } from './testing.js';

let dir = '';
let server: TestServer | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-cli-'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(dir, { recursive: true, force: true });
});

const loadStartNode = async (): Promise<never> => {
  throw new Error('no command under test starts a node');
};
const dats = async (argv: readonly string[], options: Partial<KeptIo> = {}): Promise<{ code: number; out: string; err: string }> => {
  const io = keepIo({ cwd: dir, ...options });
  const code = await runCli(argv, io, { loadStartNode });
  return { code, ...io.printed };
};

const view = (state: TaskView['state'], over: Partial<TaskView> = {}): Partial<TaskView> => ({
  task_id: 't1',
  project_id: 'default',
  status: state === 'completed' || state === 'failed' || state === 'cancelled' ? state : 'running',
  state,
  title: 'Do it',
  priority: 'normal',
  mode: null,
  model: null,
  attempt: 1,
  created_at: '2026-11-21T10:00:00.000Z',
  completed_at: null,
  execution_time_ms: null,
  parent_id: null,
  children: [],
  depends_on: [],
  error: null,
  waiting_for: null,
  flags: [],
  verdict: null,
  artifacts: [],
  tier: 'small',
  ...over,
});
const accepted = {
  task_id: 't1',
  project_id: 'default',
  status: 'pending',
  created_at: '2026-11-21T10:00:00.000Z',
  estimated_completion: null,
  position: 0,
};
const bytes = 'print(1)\n';
const artifact = {
  artifact_id: 'a1',
  type: 'python',
  path: 'src/one.py',
  sha256: createHash('sha256').update(bytes).digest('hex'),
  bytes: bytes.length,
} as const;
const provenance = {
  ...artifact,
  task_id: 't1',
  attempt: 1,
  accepted: true,
  taint: 'clean',
  model: 'm',
  provider: 'ollama',
  scripted: false,
  prompt_version: 'g@1',
  consumed: [],
};

/** A server on which a task ends as `end`. */
const taskServer =
  (end: TaskView['state']): Handler =>
  (request, response) => {
    const url = request.url ?? '';
    const over =
      end === 'failed' ? { error: { code: 'attempts_exhausted', message: 'gave up', retryable: false } } : { artifacts: [artifact] };
    if (request.method === 'POST') answerJson(response, 202, accepted);
    else if (url.endsWith('/events')) {
      const last =
        end === 'failed'
          ? anEvent('dats.task.failed', 't1', { task_id: 't1', attempt: 1, error: over.error! })
          : anEvent('dats.task.completed', 't1', { task_id: 't1', attempt: 1, provenance_id: 'p', execution_time_ms: 5 });
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(sseOf(3, last));
    } else if (url.endsWith('/content')) response.end(bytes);
    else if (url.includes('/artifacts/')) answerJson(response, 200, provenance);
    else answerJson(response, 200, view(end, over));
  };
const serve = async (handler: Handler): Promise<string> => {
  server = await openTestServer(handler);
  return server.url;
};

describe('exit code 0', () => {
  it('for a task that is completed; its files are written and their origin is said', async () => {
    const url = await serve(taskServer('completed'));
    const { code, out } = await dats(['submit', 'Do it', '--wait', '--out', 'result', '--url', url]);
    expect(code).toBe(0);
    expect(readFileSync(join(dir, 'result/src/one.py'), 'utf8')).toBe(bytes);
    expect(out).toContain('state     completed');
    expect(out).toContain('made by m (ollama), prompt g@1, attempt 1');
  });

  it('for a submission without waiting; --quiet prints the id alone', async () => {
    const url = await serve(taskServer('completed'));
    expect(await dats(['submit', 'Do it', '--quiet', '--url', url])).toEqual({ code: 0, out: 't1\n', err: '' });
  });

  it('for help, with examples on every command', async () => {
    const { code, out } = await dats(['--help']);
    expect(code).toBe(0);
    expect(out).toContain('Examples:');
    const commands = [...out.matchAll(/^ {2}([a-z]+)(?: |$)/gm)]
      .map((match) => match[1]!)
      .filter((name) => name !== 'dats' && name !== 'help');
    expect(commands).toEqual([
      'start',
      'submit',
      'batch',
      'watch',
      'get',
      'list',
      'cancel',
      'artifacts',
      'status',
      'provenance',
      'lineage',
      'impact',
      'taint',
      'cascade',
      'rollback',
      'replay',
      'project',
      'alert',
      'reject',
      'attest',
      'audit',
      'sql',
      'stats',
      'quota',
      'dlq',
      'models',
      'nodes',
      'node',
      'health',
      'views',
      'migrate',
      'demo',
      'config',
      'schemas',
    ]);
    for (const command of commands.filter((name) => name !== 'config'))
      expect((await dats([command, '--help'])).out).toContain('Examples:');
  });
});

describe('exit code 1', () => {
  it('for a task that failed', async () => {
    const { code, out } = await dats(['submit', 'Do it', '--stream', 'events', '--url', await serve(taskServer('failed'))]);
    expect(code).toBe(1);
    expect(out).toContain('failed     attempts_exhausted: gave up');
  });

  it('for an error of the server, in one plain line', async () => {
    const url = await serve((_request, response) =>
      answerJson(response, 404, {
        type: '/problems/task-not-found',
        title: 'Task not found',
        status: 404,
        detail: 'no task has the id x',
        correlation_id: 'c',
        retryable: false,
      }),
    );
    expect(await dats(['get', 'x', '--url', url])).toEqual({ code: 1, out: '', err: 'dats: Task not found: no task has the id x\n' });
    const { err } = await dats(['get', 'x', '--url', url, '--json']);
    expect(JSON.parse(err)).toEqual({
      error: { code: 'task_not_found', message: 'Task not found: no task has the id x', retryable: false },
    });
  });

  it('for a batch of which one was refused', async () => {
    writeFileSync(join(dir, 'tasks.jsonl'), '{"description":"a"}\n\n{"description":"b"}\n');
    const problem = { type: '/problems/x', title: 'X', status: 429, detail: 'too many', correlation_id: 'c', retryable: true };
    const url = await serve((_request, response) =>
      answerJson(response, 200, {
        accepted: 1,
        refused: 1,
        results: [
          { index: 0, status: 202, task: accepted },
          { index: 1, status: 429, problem },
        ],
      }),
    );
    const { code, out } = await dats(['batch', 'tasks.jsonl', '--url', url]);
    expect(code).toBe(1);
    expect(out).toBe('t1\ntask 2 refused: too many\n');
  });
});

describe('exit code 2, one plain line each', () => {
  it.each<[readonly string[], RegExp]>([
    [['submitt', 'x'], /^dats: unknown command 'submitt' \(Did you mean submit\?\); see dats --help\n$/],
    [['submit', 'x', '--projct', 'y'], /^dats: unknown option '--projct' \(Did you mean --project\?\); see dats --help\n$/],
    [['submit'], /^dats: what is to be done\? Give a description in quotes, or a file with --file-description\n$/],
    [['submit', 'x', '--max-attempts', '0'], /--max-attempts <n>' argument '0' is invalid\. Give a whole number from 1 to 20\./],
    [['submit', 'x', '--priority', 'asap'], /^dats: --priority: "asap" is not one of low, normal, high, urgent\n$/],
    [['submit', 'x', '--file', 'missing.py'], /^dats: cannot read missing\.py: there is no such file; check the path\n$/],
    [['submit', 'x', '--tests', 'tests.rb'], /^dats: --tests tests\.rb: the language follows from the extension/],
    [['submit', 'x', '--entry-point', 'f'], /^dats: --entry-point names the function that the tests check/],
    [['get', 'x', '--url', 'nonsense'], /^dats: --url "nonsense" is not an address; give one such as http:\/\/127\.0\.0\.1:8080\n$/],
    [['watch', 't', '--project', 'p', '--url', 'http://127.0.0.1:1'], /^dats: both a task and --project are given/],
    [['start', '--roles', 'boss'], /^dats: "boss" is no role; roles are/],
  ])('%j', async (argv, said) => {
    const { code, out, err } = await dats(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
  });

  it('for a batch file, naming each bad line', async () => {
    writeFileSync(join(dir, 'tasks.jsonl'), '{"description":"a"}\nnot json\n{"description":"","priority":"x"}\n{"descripton":"a"}\n');
    const { code, err } = await dats(['batch', 'tasks.jsonl']);
    expect(code).toBe(2);
    expect(err).toContain('tasks.jsonl:2  not JSON');
    expect(err).toContain('tasks.jsonl:3  /priority: "x" is not one of low, normal, high, urgent');
    expect(err).toContain('unknown field "descripton"');
  });

  it('for a bad servers.yaml, with the place', async () => {
    writeFileSync(join(dir, 'servers.yaml'), 'version: 1\ngateway: { prot: 1 }\n');
    expect(await dats(['config', 'check'])).toEqual({
      code: 2,
      out: '',
      err: 'dats: servers.yaml:2:12  gateway.prot: unknown key "prot"; did you mean "port"?\n',
    });
  });
});

describe('exit code 3', () => {
  it('where no server answers, saying how to start one', async () => {
    const url = await serve(() => {});
    await server!.close();
    server = undefined;
    const { code, err } = await dats(['status', '--url', url]);
    expect(code).toBe(3);
    expect(err).toMatch(/^dats: no DATS server answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\); start one with "npm start"/);
  });
});

describe('exit code 130', () => {
  it('when it is interrupted while it watches', async () => {
    const stop = new AbortController();
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n', () => stop.abort(interrupted()));
    });
    expect(await dats(['watch', 't1', '--url', url], { signal: stop.signal })).toEqual({ code: 130, out: '', err: 'dats: interrupted\n' });
  });
});

describe('the address of the server', () => {
  it('is --url, then DATS_URL, then the gateway of servers.yaml', async () => {
    const url = await serve(taskServer('completed'));
    expect((await dats(['get', 't1'], { env: { DATS_URL: url } })).code).toBe(0);
    writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { host: 0.0.0.0, port: ${new URL(url).port} }\n`);
    expect((await dats(['get', 't1'])).code).toBe(0);
    expect((await dats(['get', 't1'], { env: { DATS_URL: 'http://127.0.0.1:1' } })).code).toBe(3);
  });
});

describe('--json', () => {
  it('gives one document, and events one a line', async () => {
    const url = await serve(taskServer('completed'));
    expect(JSON.parse((await dats(['get', 't1', '--json', '--url', url])).out)).toMatchObject({ task_id: 't1', state: 'completed' });
    const lines = (await dats(['watch', 't1', '--json', '--url', url])).out.trim().split('\n');
    expect(lines.map((text) => JSON.parse(text).type)).toEqual(['dats.task.completed']);
  });
});
