// One Ollama server, built from its own Go module, with a toy model in it.
//
// O1. Everything it keeps (models, its key) is in `data`: nothing of the user's own Ollama is read or written.
import { mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { built } from './build.mjs';
import { failure } from './failure.mjs';
import { sha256Of } from './gguf.mjs';
import { goFor } from './go.mjs';
import { llamaSource } from './llama.mjs';
import { httpAnswers } from './probe.mjs';
import { programFor } from './programs.mjs';
import { HOST } from './settings.mjs';
import { OLLAMA_TEMPLATE } from './tokenizer.mjs';
import { TINY, toyModel } from './toy-models.mjs';

export const OLLAMA_VERSION = '0.17.4';
const MODULE = 'github.com/ollama/ollama';
/** Half the time of a build of -O2. A Go module takes nothing of a processor for granted; with what llama.cpp does, prompts are read three times as fast. */
const FLAGS = ['-O1', ...(process.arch === 'x64' ? ['-msse4.2', '-mf16c', '-mfma', '-mbmi2', '-mavx2'] : [])].join(' ');
const PARALLEL = 4;
const ASK_LIMIT_MS = 30_000;
/** More threads than one only wait for each other. Without a stop of ours it takes those of the template that it thinks ours resembles. */
const PARAMETERS = { num_thread: 1, stop: ['<user>'] };

/** @returns {Promise<string>} the program, built where it is not there yet */
export const ollamaProgram = async ({ cache, env = process.env, allowed }) => {
  const why = 'to build Ollama (once)';
  const commandsIn = async (folder) => {
    const { go, env: goEnv } = await goFor(cache, why, env);
    programFor('g++', why, env);
    // The module comes without the headers of others that it includes; llama.cpp has them.
    const headers = join(await llamaSource(cache, env), 'vendor');
    const flags = { CGO_ENABLED: '1', CGO_CFLAGS: FLAGS, CGO_CXXFLAGS: FLAGS };
    return [
      {
        file: go,
        args: ['install', '-v', `-ldflags=-X=${MODULE}/version.Version=${OLLAMA_VERSION}`, `${MODULE}@v${OLLAMA_VERSION}`],
        env: { ...goEnv, ...flags, CPATH: [headers, env.CPATH].filter(Boolean).join(delimiter), GOBIN: folder },
        cwd: folder,
      },
    ];
  };
  return join(await built({ cache, name: `ollama-${OLLAMA_VERSION}`, what: 'Ollama', allowed, commandsIn }), 'ollama');
};

const asked = async (url, init = {}) => {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(ASK_LIMIT_MS) });
  const said = await answer.text();
  if (answer.ok) return said;
  const { pathname } = new URL(url);
  throw failure('model_not_made', `ollama: ${pathname} answered ${answer.status}: ${said}`);
};

/** Whether it has the model, made of these bytes. */
const hasModel = async (url, name, sha256) => {
  const { models } = JSON.parse(await asked(`${url}/api/tags`));
  if (!models.some((one) => one.name === `${name}:latest`)) return false;
  const { modelfile } = JSON.parse(await asked(`${url}/api/show`, { method: 'POST', body: JSON.stringify({ model: name }) }));
  return modelfile.includes(sha256);
};

/** A toy model, through Ollama's own API: its bytes as a blob, then a model of it. */
const makeModel = async (url, name) => {
  const bytes = await toyModel(name);
  const sha256 = sha256Of(bytes);
  if (await hasModel(url, name, sha256)) return;
  const digest = `sha256:${sha256}`;
  await asked(`${url}/api/blobs/${digest}`, { method: 'POST', body: bytes });
  const files = { [`${name}.gguf`]: digest };
  const wanted = { model: name, files, template: OLLAMA_TEMPLATE, parameters: PARAMETERS, stream: false };
  await asked(`${url}/api/create`, { method: 'POST', body: JSON.stringify(wanted) });
};

/**
 * An Ollama in `dir`, for supervise.mjs.
 * @param {{ dir: string, cache: string, port: number, build?: boolean, model?: string, env?: object }} options `build`: it may be built where it is not there yet
 */
export const ollamaServer = ({ dir, cache, port, build = true, model = TINY, env = process.env }) => {
  const [data, log] = [join(dir, 'data'), join(dir, 'out.log')];
  const url = `http://${HOST}:${port}`;
  let program;
  return {
    name: 'ollama',
    address: url,
    ports: [port],
    portVariable: 'DATS_SERVERS_OLLAMA_PORT',
    dir,
    logs: [log],
    startLimitMs: 60_000,
    stopLimitMs: 10_000,
    prepare: async () => {
      program = await ollamaProgram({ cache, env, allowed: build });
      mkdirSync(data, { recursive: true });
    },
    command: () => ({
      file: program,
      args: ['serve'],
      env: {
        ...env,
        HOME: data,
        OLLAMA_HOST: `${HOST}:${port}`,
        OLLAMA_MODELS: join(data, 'models'),
        OLLAMA_NUM_PARALLEL: String(PARALLEL),
        // On a processor prompts are read twice as fast without it.
        OLLAMA_FLASH_ATTENTION: env.OLLAMA_FLASH_ATTENTION ?? '0',
        // No models elsewhere, no search: it talks to nobody.
        OLLAMA_NO_CLOUD: '1',
        GIN_MODE: 'release',
      },
    }),
    answers: () => httpAnswers(`${url}/api/version`),
    furnish: () => makeModel(url, model),
  };
};
