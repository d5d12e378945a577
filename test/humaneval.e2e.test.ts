// 164 real programming problems with their tests, through the HTTP API and the sandbox. A third of the first answers is broken on purpose,
// in six ways; every one must be rejected with its reason, and the second answer accepted.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, apiOf, isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { cleanUp, freePort, ready, startProcess, type TestFolder, testFolder } from './support/node-process.js';

interface Problem {
  readonly task_id: string;
  readonly prompt: string;
  readonly entry_point: string;
  readonly canonical_solution: string;
  readonly test: string;
}

const FILE = process.env['DATS_HUMANEVAL'] ?? fileURLToPath(new URL('../../shared/data/HumanEval.jsonl.gz', import.meta.url));
const there = existsSync(FILE);
if (!there)
  console.warn(
    `SKIPPED: ${FILE} is not there (it is not part of the product). Set DATS_HUMANEVAL to the path of HumanEval.jsonl.gz to run this test.`,
  );

const KINDS = ['wrong value', 'exception', 'endless loop', 'syntax error', 'network', 'outside'] as const;
type Kind = (typeof KINDS)[number];
/** What the reason of a rejection must speak of. */
const REASONS: Readonly<Record<Kind, RegExp>> = {
  'wrong value': /assert|type ?error/i,
  exception: /ValueError|broken on purpose/,
  'endless loop': /did not finish|time/i,
  'syntax error': /syntax|invalid|expected/i,
  network: /network/i,
  outside: /outside|read-only|not allowed/i,
};

const kindOf = (index: number): Kind | undefined => (index % 3 === 0 ? KINDS[(index / 3) % KINDS.length] : undefined);

const broken = (kind: Kind, problem: Problem, canary: { readonly port: number; readonly file: string }): string => {
  const right = problem.prompt + problem.canonical_solution;
  const instead = (body: string) => `${right}\n\ndef ${problem.entry_point}(*args, **kwargs):\n    ${body}\n`;
  switch (kind) {
    case 'wrong value':
      return instead('return object()');
    case 'exception':
      return instead("raise ValueError('broken on purpose')");
    case 'endless loop':
      return instead('while True: pass');
    case 'syntax error':
      return `${right}\n\ndef ${problem.entry_point}(:\n`;
    case 'network':
      // Were the call possible, the answer would be right: a leaking sandbox lets it slip through.
      return `import socket\nsocket.create_connection(('127.0.0.1', ${canary.port}), timeout=2).close()\n${right}`;
    case 'outside':
      return `open('${canary.file}', 'w').write('was here')\n${right}`;
  }
};

const answerOf = (content: string) => ({ files: [{ path: 'solution.py', language: 'python', content }] });

describe.runIf(there)('HumanEval', () => {
  const problems = there
    ? gunzipSync(readFileSync(FILE))
        .toString('utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Problem)
    : [];
  let folder: TestFolder;
  let canary: Server;
  let connections = 0;
  let api: Api;
  const outside = '/usr/dats-canary';

  beforeAll(async () => {
    canary = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
    const port = (canary.address() as { port: number }).port;
    const rules = problems.map((problem, i) => {
      const kind = kindOf(i);
      const right = answerOf(problem.prompt + problem.canonical_solution);
      return {
        match: { task: problem.task_id, purpose: 'generate' },
        answers: kind ? [answerOf(broken(kind, problem, { port, file: outside })), right] : [right],
      };
    });
    const http = await freePort();
    api = apiOf(`http://127.0.0.1:${http}`);
    folder = testFolder(
      {
        version: 1,
        node: { id: 'humaneval', data_dir: './data' },
        gateway: { port: http },
        models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }],
        scheduling: { max_running_per_project: 32, backoff_base_ms: 50 },
      },
      { 'script.json': JSON.stringify({ version: 1, rules }) },
    );
    await ready(api.url, startProcess(folder.config));
  });

  afterAll(async () => {
    await cleanUp();
    rmSync(outside, { force: true });
    canary?.close();
  });

  it('completes all, rejects every broken answer with its reason, and the sandbox holds', async () => {
    expect(problems).toHaveLength(164);
    const tasks = problems.map((problem) => ({
      description: `${problem.task_id}\n${problem.prompt}`,
      project_id: 'humaneval',
      tests: { language: 'python', code: problem.test, entry_point: problem.entry_point, timeout_s: 5 },
    }));
    const ids = await api.submittedAll(tasks);
    await ended(api, 'humaneval', ids);
    const views = await Promise.all(
      ids.map((id) => eventually(`the final view of ${id}`, 10_000, () => api.task(id).then((view) => isFinal(view) && view))),
    );
    expect(views.filter((view) => view.status !== 'completed').map((view) => [view.title, view.error, view.verdict?.reasons])).toEqual([]);
    const attempts = views.map((view, i) => [view.title, view.attempt, kindOf(i)] as const);
    expect(attempts.filter(([, attempt, kind]) => attempt !== (kind ? 2 : 1))).toEqual([]);

    const rejections = await rejectionsOf(api, ids);
    expect(rejections.size).toBe(55);
    ids.forEach((id, i) => {
      const kind = kindOf(i);
      if (kind) expect(rejections.get(id), `${problems[i]!.task_id} (${kind})`).toMatch(REASONS[kind]);
    });
    expect(connections).toBe(0);
    expect(existsSync(outside)).toBe(false);
    expect(readdirSync(folder.dir).sort()).toEqual(['data', 'script.json', 'servers.yaml']);
  });
});

const ended = async (api: Api, project: string, ids: readonly string[]): Promise<void> => {
  const open = new Set(ids);
  const types = 'dats.task.completed,dats.task.failed,dats.task.cancelled';
  for await (const { event } of api.stream(`/api/v1/projects/${project}/events?from=beginning&types=${types}`)) {
    open.delete(event.subject);
    if (open.size === 0) return;
  }
};

/** Task -> reasons of its rejections. */
const rejectionsOf = async (api: Api, ids: readonly string[]): Promise<Map<string, string>> => {
  const reasons = new Map<string, string>();
  for (const id of ids)
    for await (const { event } of api.stream(`/api/v1/tasks/${id}/events`))
      if (event.type === 'dats.task.rejected') reasons.set(id, `${reasons.get(id) ?? ''}${event.data.reasons.join('\n')}`);
  return reasons;
};
