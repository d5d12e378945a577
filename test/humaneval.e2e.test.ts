// 164 real programming problems with their tests, through the HTTP API and the sandbox. A third of the first answers is broken on purpose,
// in six ways; every one must be rejected with its reason, and the second answer accepted.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskView } from '../schemas/index.js';
import { freePort, type NodeProcess, ready, startProcess, testFolder } from './support/node-process.js';

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
  let folder: ReturnType<typeof testFolder>;
  let node: NodeProcess;
  let canary: Server;
  let connections = 0;
  let url: string;
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
    url = `http://127.0.0.1:${http}`;
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
    node = startProcess(folder.config);
    await ready(url, node);
  });

  afterAll(async () => {
    await node?.kill();
    canary?.close();
    folder?.remove();
  });

  it('completes all, rejects every broken answer with its reason, and the sandbox holds', async () => {
    expect(problems).toHaveLength(164);
    const tasks = problems.map((problem) => ({
      description: `${problem.task_id}\n${problem.prompt}`,
      project_id: 'humaneval',
      tests: { language: 'python', code: problem.test, entry_point: problem.entry_point, timeout_s: 5 },
    }));
    const response = await fetch(`${url}/api/v1/tasks:batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(tasks),
    });
    const { results } = (await response.json()) as { results: { index: number; task?: { task_id: string }; problem?: unknown }[] };
    expect(results.map((result) => result.problem).filter(Boolean)).toEqual([]);
    const ids = results.map((result) => result.task!.task_id);

    await ended(url, 'humaneval', new Set(ids));
    const views = await Promise.all(ids.map(async (id) => (await (await fetch(`${url}/api/v1/tasks/${id}`)).json()) as TaskView));
    expect(views.filter((view) => view.status !== 'completed').map((view) => [view.title, view.error, view.verdict?.reasons])).toEqual([]);
    const attempts = views.map((view, i) => [view.title, view.attempt, kindOf(i)] as const);
    expect(attempts.filter(([, attempt, kind]) => attempt !== (kind ? 2 : 1))).toEqual([]);

    const rejections = await rejectionsOf(url, 'humaneval');
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

/** Data of a project's events of some types, from the first on, until `enough` says so. */
const projectEvents = async (
  url: string,
  project: string,
  types: string,
  take: (event: { type: string; subject: string; data: never }) => boolean,
): Promise<void> => {
  const stop = new AbortController();
  const response = await fetch(`${url}/api/v1/projects/${project}/events?from=beginning&types=${types}`, { signal: stop.signal });
  const decoder = new TextDecoder();
  let buffer = '';
  try {
    for await (const chunk of response.body!) {
      buffer += decoder.decode(chunk as Uint8Array, { stream: true });
      for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
        const data = buffer
          .slice(0, end)
          .split('\n')
          .find((line) => line.startsWith('data:'));
        buffer = buffer.slice(end + 2);
        if (data && take(JSON.parse(data.slice(5)))) return;
      }
    }
  } finally {
    stop.abort();
  }
};

const ended = (url: string, project: string, open: Set<string>): Promise<void> =>
  projectEvents(url, project, 'dats.task.completed,dats.task.failed,dats.task.cancelled', (event) => {
    open.delete(event.subject);
    return open.size === 0;
  });

const rejectionsOf = async (url: string, project: string): Promise<Map<string, string>> => {
  const reasons = new Map<string, string>();
  await projectEvents(url, project, 'dats.task.rejected', (event: { subject: string; data: { reasons: string[] } }) => {
    reasons.set(event.subject, event.data.reasons.join('\n'));
    return reasons.size === 55;
  });
  return reasons;
};
