// `dats batch --wait` against a server that cannot always tell.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskView } from '../../schemas/index.js';
import { runCli } from '../program.js';
import { answerJson, type Handler, keepIo, openTestServer, type TestServer } from '../testing.js';

const TASKS = 40;
let dir: string;
let server: TestServer | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-batch-'));
  writeFileSync(join(dir, 'tasks.jsonl'), '{"description":"a"}\n'.repeat(TASKS));
});
afterEach(async () => {
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

const view = (task_id: string, status: TaskView['status']) => ({ task_id, status, state: status, title: 'a', error: null });
const results = Array.from({ length: TASKS }, (_, index) => ({ index, status: 202, task: { task_id: `t${index}` } }));
const behind = {
  type: '/problems/views-behind',
  title: 'Views behind',
  status: 503,
  detail: 'being rebuilt',
  correlation_id: 'c',
  retryable: true,
};

/** @param look answers a look at a task */
const waited = async (look: (id: string, response: Parameters<Handler>[1]) => void) => {
  server = await openTestServer((request, response) => {
    if (request.method === 'POST') answerJson(response, 200, { accepted: TASKS, refused: 0, results });
    else look(request.url!.split('/').at(-1)!, response);
  });
  const pauses: number[] = [];
  const io = keepIo({ cwd: dir });
  const code = await runCli(['batch', 'tasks.jsonl', '--wait', '--url', server.url], io, {
    loadStartNode: () => Promise.reject(new Error('no node is started where an address is given')),
    sleep: async (ms) => void pauses.push(ms),
  });
  const looks = server.requests.filter(({ method }) => method === 'GET').length;
  return { code, ...io.printed, pauses, looks };
};

describe('dats batch --wait', () => {
  it('goes on where the server cannot tell for a while how tasks stand, each told of once', async () => {
    let answers = 0;
    const { code, out, err, pauses, looks } = await waited((id, response) => {
      answers++;
      if (id === 't3' && answers < 200) answerJson(response, 503, behind, { 'retry-after': '2' });
      else answerJson(response, 200, view(id, id === 't20' ? 'failed' : 'completed'));
    });
    expect([code, out.split('\n')]).toEqual([
      1,
      ['t20 failed: a', expect.stringMatching(new RegExp(`^${TASKS - 1} completed, 1 failed, 0 cancelled, 0 refused`)) as string, ''],
    ]);
    expect(err.match(/looking again: Views behind: being rebuilt/g)).toHaveLength(1);
    expect(new Set(pauses)).toEqual(new Set([2_000]));
    // All the others were told of at the first look.
    expect(looks).toBe(200);
    expect(pauses).toHaveLength(200 - TASKS);
  });

  it('gives up a server that does not answer any more, after a minute', async () => {
    const { code, err, pauses } = await waited((_id, response) => void response.destroy());
    expect([code, err]).toEqual([3, expect.stringContaining('no DATS server answers at') as string]);
    expect(pauses.reduce((sum, ms) => sum + ms, 0)).toBe(60_000);
  });

  it('ends at once where no later look mends it', async () => {
    const missing = { ...behind, type: '/problems/task-not-found', title: 'Task not found', status: 404, retryable: false };
    const { code, err, pauses } = await waited((_id, response) => answerJson(response, 404, missing));
    expect([code, err, pauses]).toEqual([1, expect.stringContaining('Task not found') as string, []]);
  });
});
