// The model gateway on real servers: Ollama and llama.cpp's, with a model whose answers are noise. No task of this file comes to a good end, and none has to: what is
// looked at is who was asked, why, and what became of it.
import { execFileSync } from 'node:child_process';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalModelServer, startLlama, startOllama } from '../deploy/local/index.mjs';
import { realServer } from '../models/testing/real-server.js';
import type { Provenance } from '../schemas/index.js';
import { type Api, apiOf } from './support/api.js';
import { eventually } from './support/eventually.js';
import { cleanUp, ENTRY, freePort, ready, startProcess, testFolder } from './support/node-process.js';

const LIMIT_MS = 90_000;
interface Model {
  readonly id: string;
  readonly running: number;
  readonly health: { readonly ok: boolean };
}

const ollama = await realServer('ollama', startOllama);
const llama = await realServer('llama', startLlama);

describe.skipIf(ollama === undefined || llama === undefined)('tasks on two real model servers', () => {
  const box = ollama as LocalModelServer;
  const backup = llama as LocalModelServer;
  let url = '';
  let api: Api;

  /** One attempt, whatever comes of it. */
  const submitted = async (description: string): Promise<string> => {
    const body = { description, project_id: 'noise', options: { max_attempts: 1, qa_profile: 'none', tier: 'small' } };
    const answer = await api.ask<{ task_id: string }>('POST', '/api/v1/tasks', body);
    expect(answer.status).toBe(202);
    return answer.body.task_id;
  };
  const provenance = (task: string): Promise<Provenance> =>
    eventually(`the provenance of ${task}`, LIMIT_MS, async () => {
      const answer = await api.ask<Provenance>('GET', `/api/v1/provenance/${task}`);
      return answer.status === 200 && answer.body;
    });
  const stateOf = (id: string, wanted: (model: Model) => boolean): Promise<Model> =>
    eventually(`model ${id}`, LIMIT_MS, async () => {
      const { body } = await api.ask<{ models: readonly Model[] }>('GET', '/api/v1/models');
      const model = body.models.find((one) => one.id === id);
      return model !== undefined && wanted(model) && model;
    });
  const dats = (...words: readonly string[]): string =>
    execFileSync(process.execPath, [ENTRY, ...words, '--url', url], { encoding: 'utf8' });

  beforeAll(async () => {
    const port = await freePort();
    const shared = { tiers: ['small', 'medium', 'large'], context_tokens: 16_384, max_output_tokens: 256 };
    const { config } = testFolder({
      version: 1,
      node: { id: 'gateway-test', data_dir: './data' },
      gateway: { port },
      routing: { ask_model_below: 0 },
      models: [
        { id: 'box', runner: 'ollama', base_url: box.url, model: box.model, preference: 10, ...shared },
        { id: 'backup', runner: 'openai', provider: 'llama.cpp', base_url: backup.url, model: backup.model, preference: 200, ...shared },
      ],
    });
    const node = startProcess(config, [], { DATS_ANALYTICS_KIND: 'embedded', DATS_ANALYTICS_FLUSH_MS: '100' });
    url = `http://127.0.0.1:${port}`;
    api = apiOf(url);
    await ready(url, node);
  });
  afterAll(async () => {
    await cleanUp();
    await Promise.all([ollama?.close(), llama?.close()]);
  });

  it('goes to the one that is preferred, and says why', async () => {
    const record = await provenance(await submitted('say something.'));
    expect(record.calls).toEqual([expect.objectContaining({ model: 'box', outcome: 'ok', output_tokens: expect.any(Number) })]);
    expect(record.decision).toMatchObject({ chosen: 'box', reason: 'score' });
    expect(record.decision!.candidates.map(({ id, verdict }) => [id, verdict])).toEqual([
      ['box', 'chosen'],
      ['backup', 'outranked'],
    ]);
  });

  it('goes on at the next one when a server is killed in the middle of a call, and back to it when it has returned', async () => {
    // It takes the call and says nothing, so that the kill falls into it.
    process.kill(box.pid!, 'SIGSTOP');
    const task = await submitted('say something while the server dies.');
    await stateOf('box', ({ running }) => running > 0);
    await box.kill();
    const record = await provenance(task);
    expect(record.calls.map(({ model, outcome, error_type }) => [model, outcome, error_type])).toEqual([
      ['box', 'error', 'model_unreachable'],
      ['backup', 'ok', undefined],
    ]);
    expect(record.decision!.chosen).toBe('backup');
    expect(dats('provenance', task)).toMatch(/box model_unreachable after .*; then backup ok after/);

    await stateOf('box', ({ health }) => !health.ok);
    expect((await provenance(await submitted('say something without it.'))).calls.map(({ model }) => model)).toEqual(['backup']);
    await box.start();
    await stateOf('box', ({ health }) => health.ok);
    // Its error counts for a while, and is not worth the difference in preference.
    expect((await provenance(await submitted('say something again.'))).decision).toMatchObject({ chosen: 'box' });
  });

  it('follows a rule from the moment it is set', async () => {
    dats('config', 'set', 'routing.rules', '[{"name": "noise-to-backup", "for": {"projects": ["noise"]}, "to": ["backup"]}]');
    const { decision, config_version } = await provenance(await submitted('say something by the rule.'));
    expect(decision).toMatchObject({ chosen: 'backup', reason: 'rule', rules: ['noise-to-backup'] });
    expect(decision!.config_version).toMatch(/^[0-9a-f]{12}\+1$/);
    expect(config_version).toBe(decision!.config_version);
    dats('config', 'rollback', 'routing', '--yes');
    expect((await provenance(await submitted('say something without a rule.'))).decision).toMatchObject({ chosen: 'box' });
  });

  it('answers an OpenAI client from both', async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', maxRetries: 0 });
    for (const model of ['auto:cheap', 'backup']) {
      const stream = await client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'hello' }],
        max_tokens: 40,
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = '';
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        usage = chunk.usage ?? usage;
      }
      expect(text.length).toBeGreaterThan(0);
      expect(usage!.prompt_tokens).toBeGreaterThan(0);
    }
    const { data } = await client.embeddings.create({ model: 'box', input: ['one', 'two'] });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([64, 64]);
  });
});
