// The model servers: the real programs with the tiny model. A machine where they are not built skips this and says so; CI has built them by now.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { describeWith } from '../../streams/testing/servers.js';
import { demoAnswers } from './demo-answers.mjs';
import { sha256Of } from './gguf.mjs';
import { freePort, type LocalModelServer, startLlama, startOllama } from './index.mjs';
import { cacheDir } from './settings.mjs';
import { tinyModel } from './tiny-model.mjs';

const SCRIPT = fileURLToPath(new URL('./servers.mjs', import.meta.url));
const QUESTION = { role: 'user', content: 'Write add(a, b) in Python' };
interface Sampling {
  readonly temperature: number;
  readonly seed?: number;
}
/** The same answer each time. */
const GREEDY: Sampling = { temperature: 0 };
const posted = (url: string, body: object) => fetch(url, { method: 'POST', body: JSON.stringify(body) });
const jsonOf = async <T>(answer: Response): Promise<T> => {
  expect(answer.status).toBe(200);
  return (await answer.json()) as T;
};
const length = (vector: readonly number[]) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

/** Processes that have this folder in their words: the server, and what it started. */
const processesOf = ({ dir }: LocalModelServer) =>
  execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(dir));

const OLLAMA = {
  start: startOllama,
  /** Text, why it ended, and in how many pieces it came. */
  chat: async ({ url, model }: LocalModelServer, tokens: number, sampled: Sampling = GREEDY, question = QUESTION) => {
    const answer = await posted(`${url}/api/chat`, { model, messages: [question], options: { num_predict: tokens, ...sampled } });
    const lines = (await answer.text()).trim().split('\n');
    const parts = lines.map((line) => JSON.parse(line) as { message: { content: string }; done_reason?: string; eval_count?: number });
    const { done_reason, eval_count } = parts.at(-1)!;
    return { text: parts.map(({ message }) => message.content).join(''), end: done_reason, tokens: eval_count, pieces: parts.length };
  },
  embed: async ({ url, model }: LocalModelServer, input: readonly string[]) =>
    (await jsonOf<{ embeddings: number[][] }>(await posted(`${url}/api/embed`, { model, input }))).embeddings,
  list: async ({ url }: LocalModelServer) =>
    (await jsonOf<{ models: { name: string }[] }>(await fetch(`${url}/api/tags`))).models.map(({ name }) => name),
  listed: ['tiny:latest'],
};
interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string | null }; readonly finish_reason: string | null }[];
  readonly usage?: { readonly completion_tokens: number };
}
const LLAMA: typeof OLLAMA = {
  start: startLlama,
  chat: async ({ url, model }, tokens, sampled = GREEDY, question = QUESTION) => {
    const wanted = {
      model,
      messages: [question],
      max_tokens: tokens,
      ...sampled,
      stream: true,
      stream_options: { include_usage: true },
    };
    const events = (await (await posted(`${url}/chat/completions`, wanted)).text())
      .split('\n\n')
      .map((event) => event.replace(/^data: /, ''));
    expect(events.slice(-2)).toEqual(['[DONE]', '']);
    const chunks = events.slice(0, -2).map((event) => JSON.parse(event) as Chunk);
    const choices = chunks.flatMap((chunk) => chunk.choices);
    const text = choices.map(({ delta }) => delta.content ?? '').join('');
    const end = choices.at(-1)?.finish_reason ?? undefined;
    return { text, end, tokens: chunks.at(-1)?.usage?.completion_tokens, pieces: choices.length };
  },
  embed: async ({ url, model }, input) =>
    (await jsonOf<{ data: { embedding: number[] }[] }>(await posted(`${url}/embeddings`, { model, input }))).data.map(
      ({ embedding }) => embedding,
    ),
  list: async ({ url }) => (await jsonOf<{ data: { id: string }[] }>(await fetch(`${url}/models`))).data.map(({ id }) => id),
  listed: ['tiny'],
};

describeWith(['ollama', 'llama'], 'a model server', () => {
  describe.each([
    ['ollama', OLLAMA],
    ['llama', LLAMA],
  ])('%s', (_, { start, chat, embed, list, listed }) => {
    it('answers in pieces, embeds and lists, and does so again after it was killed, at its port', async () => {
      const server = await start();
      try {
        expect(await list(server)).toEqual(listed);
        const first = await chat(server, 20);
        expect(first).toMatchObject({ end: 'length', tokens: 20 });
        expect(first.text).toMatch(/^[\n -~]+$/);
        expect(first.pieces).toBeGreaterThan(5);
        const vectors = await embed(server, ['one', 'another']);
        expect(vectors.map((vector) => vector.length)).toEqual([64, 64]);
        for (const vector of vectors) expect(length(vector)).toBeCloseTo(1, 3);

        const { port, pid } = server;
        await server.kill();
        expect([await server.isUp(), server.pid, processesOf(server)]).toEqual([false, null, []]);
        await server.start();
        expect([server.port, server.pid === pid]).toEqual([port, false]);
        expect(await list(server)).toEqual(listed);
        expect((await chat(server, 20)).text).toBe(first.text);
      } finally {
        await server.close();
      }
      expect([processesOf(server), existsSync(server.dir)]).toEqual([[], false]);
    });

    it('answers several at once, and an answer ends by itself', async () => {
      const server = await start();
      try {
        const ends = await Promise.all(
          [1, 2, 3, 4].map(async (seed) => {
            const { text, end } = await chat(server, 2_000, { temperature: 0.8, seed });
            return [end, /^[\n -~]+$/.test(text)];
          }),
        );
        expect(ends).toEqual([1, 2, 3, 4].map(() => ['stop', true]));
      } finally {
        await server.close();
      }
    });

    it('with a model of the demo says its answers to the letter, in many pieces, whatever the sampling', async () => {
      const server = await start({ model: 'demo-small' });
      try {
        for (const { key, text, loop } of await demoAnswers('small')) {
          const question = { role: 'user', content: `# Task\n${key}\n\nIt does what it says.` };
          const said = await chat(server, 2_000, { temperature: 2, seed: 1 }, question);
          if (loop === undefined) expect([said.text, said.end]).toEqual([text, 'stop']);
          else expect([said.text.startsWith(text + loop + loop), said.end]).toEqual([true, 'length']);
          expect(said.pieces).toBeGreaterThan(30);
        }
      } finally {
        await server.close();
      }
    });
  });

  it('of Ollama that has an older model of that name gets the one of today when it starts, and only then', async () => {
    const ollama = await startOllama();
    const model = { model: ollama.model };
    const made = async () => (await jsonOf<{ modified_at: string }>(await posted(`${ollama.url}/api/show`, model))).modified_at;
    try {
      const first = await made();
      await ollama.start();
      expect(await made()).toBe(first);
      const other = tinyModel(1);
      expect((await fetch(`${ollama.url}/api/blobs/sha256:${sha256Of(other)}`, { method: 'POST', body: new Uint8Array(other) })).ok).toBe(
        true,
      );
      const files = { 'tiny.gguf': `sha256:${sha256Of(other)}` };
      expect((await posted(`${ollama.url}/api/create`, { ...model, files, stream: false })).ok).toBe(true);
      await ollama.start();
      const { modelfile } = await jsonOf<{ modelfile: string }>(await posted(`${ollama.url}/api/show`, model));
      expect(modelfile).toContain(sha256Of(tinyModel()));
    } finally {
      await ollama.close();
    }
  });

  it('that was killed by somebody else leaves nothing behind that is in the way of its next start', async () => {
    const ollama = await startOllama();
    try {
      await OLLAMA.chat(ollama, 1);
      expect(processesOf(ollama).length).toBeGreaterThan(0);
      process.kill(ollama.pid!, 'SIGKILL');
      await vi.waitFor(() => expect(ollama.pid).toBeNull());
      expect(processesOf(ollama)).toHaveLength(1);
      await ollama.start();
      expect(processesOf(ollama)).toEqual([]);
    } finally {
      await ollama.close();
    }
  });

  it('is started by its name or by its group, counted by status from then on, and named by the settings', {
    timeout: 120_000,
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'dats-servers-'));
    const [ollama, llama] = [await freePort(), await freePort()];
    const env = { ...process.env, DATS_SERVERS_DIR: dir, DATS_SERVERS_OLLAMA_PORT: `${ollama}`, DATS_SERVERS_LLAMA_PORT: `${llama}` };
    const said = (...words: string[]) => spawnSync(process.execPath, [SCRIPT, ...words], { env, encoding: 'utf8' });
    try {
      expect(said('status').stdout).not.toMatch(/llama/);
      const { status, stdout, stderr } = said('up', 'models');
      expect([status, stderr]).toEqual([0, '']);
      for (const name of ['ollama', 'llama']) expect(stdout).toMatch(new RegExp(`^${name} +up `, 'm'));
      expect(said('status', 'models').status).toBe(0);
      expect(said('status').stdout.match(/^(ollama|llama) +up /gm)).toHaveLength(2);
      const settings = said('env').stdout.trim().split('\n');
      expect(settings.slice(-2)).toEqual([
        `DATS_MODELS_0_BASE_URL=http://127.0.0.1:${ollama}`,
        `DATS_MODELS_1_BASE_URL=http://127.0.0.1:${llama}/v1`,
      ]);
    } finally {
      expect(said('down').status).toBe(0);
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('keeps to its folder: what a user has of Ollama is neither read nor written', async () => {
    const home = mkdtempSync(join(tmpdir(), 'dats-home-'));
    const [before, cache] = [process.env['HOME'], cacheDir()];
    process.env['HOME'] = home;
    try {
      const ollama = await startOllama({ cache });
      await OLLAMA.chat(ollama, 1);
      expect(readdirSync(join(ollama.dir, 'data'), { recursive: true })).toContain('models/manifests');
      await ollama.close();
      expect(readdirSync(home)).toEqual([]);
    } finally {
      process.env['HOME'] = before;
      rmSync(home, { recursive: true, force: true });
    }
  });
});
