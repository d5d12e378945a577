// The demo on the two real model servers, found through models.yaml alone. Their models know its answers by heart (deploy/local/demo-model.mjs).
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environment, type LocalModelServer, startLlama, startOllama } from '../../deploy/local/index.mjs';
import { realServer } from '../../models/testing/real-server.js';
import type { DatsEvent, EventOf } from '../../schemas/index.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
interface Verdict {
  readonly demo: string;
  readonly deviations: readonly string[];
  readonly answered: Readonly<Record<string, number>>;
  readonly tasks: readonly { readonly name: string; readonly state: string; readonly tiers: readonly string[] }[];
}

const [ollama, llama] = await Promise.all([
  realServer('Ollama', (options) => startOllama({ ...options, model: 'demo-small' })),
  realServer("llama.cpp's server", (options) => startLlama({ ...options, model: 'demo-medium' })),
]);
const servers = [ollama, llama].filter((server): server is LocalModelServer => server !== undefined);
afterAll(() => Promise.all(servers.map((server) => server.close())));

describe.skipIf(servers.length < 2)('the demo on Ollama and llama.cpp', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'dats-demo-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const demo = (): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const { DATS_URL: _, ...inherited } = process.env;
      const env = { ...inherited, ...environment({ ollama: ollama!.url, llama: llama!.url }), DATS_DATA_DIR: join(dir, 'data') };
      execFile(process.execPath, [MAIN, 'demo', '--json'], { cwd: dir, env, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });

  it('ends as intended, every answer being one of theirs', { timeout: 300_000 }, async () => {
    const { code, out, err } = await demo();
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as DatsEvent | Verdict);
    const verdict = lines.at(-1) as Verdict;
    expect([code, verdict.demo, verdict.deviations], err).toEqual([0, 'as intended', []]);

    const events = lines.slice(0, -1) as DatsEvent[];
    const outputs = events.filter((event): event is EventOf<'dats.task.output.created'> => event.type === 'dats.task.output.created');
    expect(outputs.filter(({ data }) => data.scripted)).toEqual([]);
    expect(new Set(outputs.map(({ data }) => data.model))).toEqual(new Set(['ollama', 'llama-server']));
    const plans = events.filter((event): event is EventOf<'dats.task.decomposed'> => event.type === 'dats.task.decomposed');
    expect(plans.map(({ data }) => [data.planner.model, data.children.length])).toEqual([['ollama', 3]]);
    expect(events.filter(({ type }) => type === 'dats.task.attempt.failed')).toEqual([]);
    expect(Object.keys(verdict.answered).sort()).toEqual(['llama-server (llama.cpp)', 'ollama (ollama)']);
    expect(verdict.tasks.find(({ name }) => name === 'roman')).toMatchObject({ state: 'completed', tiers: ['small', 'medium'] });
    expect(existsSync(join(dir, 'data-demo'))).toBe(true);
  });
});
