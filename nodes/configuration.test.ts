import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isFault } from '../schemas/index.js';
import { type Configuration, loadConfiguration } from './configuration.js';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-configuration-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const load = (text: string, env: Record<string, string> = {}): Configuration => {
  writeFileSync(join(dir, 'servers.yaml'), text);
  return loadConfiguration({ env, cwd: dir });
};
const problems = (text: string, env: Record<string, string> = {}): string[] => {
  try {
    load(text, env);
  } catch (error) {
    if (isFault(error, 'terminal') && error.code === 'bad_configuration') return error.message.split('\n');
    throw error;
  }
  throw new Error('the configuration was accepted');
};

describe('a bad servers.yaml', () => {
  it('is answered with one line per problem: file, line, column, path, what is wrong, the mend', () => {
    const text = `version: 1
gatway:
  port: 1
gateway:
  port: 70000
  hots: localhost
models:
  - id: a
    runner: olama
    tiers: [tiny, small]
  - id: a
    runner: openai
    tiers: []
    concurrency: many
`;
    expect(problems(text).sort()).toEqual(
      [
        'servers.yaml:2:1  gatway: unknown key "gatway"; did you mean "gateway"?',
        'servers.yaml:5:9  gateway.port: 70000 is too large; at most 65535',
        'servers.yaml:6:3  gateway.hots: unknown key "hots"; did you mean "host"?',
        'servers.yaml:9:13  models[0].runner: "olama" is not one of scripted, ollama, openai; did you mean "ollama"?',
        'servers.yaml:10:13  models[0].tiers[0]: "tiny" is not one of small, medium, large',
        'servers.yaml:13:12  models[1].tiers: needs at least 1 entries',
        'servers.yaml:14:18  models[1].concurrency: "many" is not a number',
      ].sort(),
    );
  });

  it('names rules between values at the value they are about', () => {
    const text = `version: 1
models:
  - { id: a, runner: openai, tiers: [small] }
  - { id: a, runner: ollama, tiers: [small], base_url: "ftp://x" }
`;
    const between = [
      'servers.yaml:3:5  models[0].base_url: an openai runner needs a base_url, such as https://api.openai.com/v1',
      'servers.yaml:4:11  models[1].id: "a" is used twice; model ids must be unique',
    ];
    expect(problems(text)).toEqual([
      'servers.yaml:4:56  models[1].base_url: "ftp://x" is not a URL that begins with http:// or https://, such as http://127.0.0.1:11434',
      ...between,
    ]);
    expect(problems(text.replace('ftp', 'http'))).toEqual(between);
  });

  it('refuses a price list that has no version, or two prices for one model of one provider', () => {
    const entry = (model: string, provider = '') => `    - { model: ${model}, ${provider}input_per_mtok: 1, output_per_mtok: 2 }\n`;
    const list = (version: string, ...entries: string[]) => `version: 1\nprices:\n  ${version}models:\n${entries.join('')}`;
    const mend = 'set a version of your own, such as "2026-11", and a new one with every change: each cost is recorded with it';
    expect(problems(list('', entry('m')))).toEqual([`servers.yaml:3:3  prices.version: "none" names no price list; ${mend}`]);
    expect(problems(list('version: model\n  ', entry('m')))).toEqual([
      `servers.yaml:3:12  prices.version: "model" names no price list; ${mend}`,
    ]);
    const openai = 'provider: openai, ';
    const all = [entry('m'), entry('m', openai), entry('n', openai), entry('m', 'provider: azure, ')];
    expect(load(list('version: v1\n  ', ...all)).config.prices).toMatchObject({ version: 'v1', models: { length: 4 } });
    expect(problems(list('version: v1\n  ', ...all, entry('m'), entry('n', openai)))).toEqual([
      'servers.yaml:9:16  prices.models[4].model: "m" without a provider has a price already; keep one of the two',
      'servers.yaml:10:16  prices.models[5].model: "n" of openai has a price already; keep one of the two',
    ]);
    expect(load('version: 1\nprices: { version: none }\n').config.prices.models).toEqual([]);
  });

  it('says what is missing, and where', () => {
    expect(problems('gateway:\n  port: 1\n')).toEqual(['servers.yaml:1:1  version: is missing; give 1']);
    expect(problems('version: 1\nmodels:\n  - runner: scripted\n    tiers: [small]\n')).toEqual([
      'servers.yaml:3:5  models[0].id: is missing; give text',
    ]);
    expect(problems('- a\n')).toEqual(['servers.yaml:1:1  (the whole file): ["a"] is not a mapping (key: value)']);
    expect(problems('')).toEqual(['servers.yaml:1:1  version: is missing; give 1']);
  });

  it('that is not YAML is answered with the place of the first error', () => {
    const lines = problems('version: 1\ngateway:\n  host: "127.0.0.1\n  port: 1\n');
    expect(lines[0]).toMatch(/^servers\.yaml:5:1 {2}not valid YAML: missing closing "quote/);
    expect(problems('version: 1\nversion: 1\n')).toEqual(['servers.yaml:2:1  not valid YAML: map keys must be unique']);
  });

  it('never lets an API key pass for the name of a variable', () => {
    const [line] = problems('version: 1\nmodels:\n  - { id: a, runner: ollama, tiers: [small], api_key_env: sk-abc }\n');
    expect(line).toContain('models[0].api_key_env');
    expect(line).toContain('never the key');
  });
});

describe('a missing file', () => {
  it('leaves the built-in defaults, and says so', () => {
    const found = loadConfiguration({ env: {}, cwd: dir });
    expect(found.path).toBeUndefined();
    expect(found.config.gateway).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(found.config.models.map((model) => model.id)).toEqual(['ollama-small', 'ollama-medium', 'ollama-large', 'scripted']);
    expect(found.warnings).toEqual([expect.stringContaining('no servers.yaml')]);
  });

  it('that was asked for by name is an error', () => {
    expect(() => loadConfiguration({ env: {}, cwd: dir, path: 'other.yaml' })).toThrow(/other\.yaml: there is no such file/);
    expect(() => loadConfiguration({ env: { DATS_CONFIG: dir } })).toThrow(/it is a folder/);
  });

  it('means the same as the servers.yaml of the repository', () => {
    const shipped = loadConfiguration({ env: {}, path: join(repository, 'servers.yaml') });
    expect(loadConfiguration({ env: {}, cwd: dir }).version).toBe(shipped.version);
    expect(shipped.warnings).toEqual([]);
    expect(shipped.config.models.every((model) => model.script === undefined)).toBe(true);
  });
});

describe('names of models that are not there', () => {
  it('are warnings with their places, the gravest first', () => {
    const { warnings } = load(`version: 1
models:
  - { id: a, runner: ollama, tiers: [small] }
routing:
  rules:
    - { name: lost, to: [a, b] }
    - { name: barred, to: ["c*"], strict: true }
`);
    expect(warnings).toEqual([
      'servers.yaml:7:27  routing.rules[1].to: no model may answer: "c*" matches no model of servers.yaml, and the rule "barred" is strict, so what the rule holds for is refused',
      'servers.yaml:6:29  routing.rules[0].to[1]: "b" matches no model of servers.yaml',
    ]);
  });
});

describe('environment variables', () => {
  const text = 'version: 1\nmodels:\n  - { id: a, runner: ollama, tiers: [small] }\n';

  it('override single values, whatever their type', () => {
    const { config, warnings } = load(text, {
      DATS_GATEWAY_PORT: '9090',
      DATS_NODE_ID: 'edge-1',
      DATS_MODELS_0_TIERS: 'small, large',
      DATS_MODELS_0_FALLBACK: 'true',
      DATS_SCHEDULING_TIMEOUT_S: '1.5',
      DATS_LOG_KIND: '',
      HOME: '/nowhere',
    });
    expect(config.gateway.port).toBe(9090);
    expect(config.node.id).toBe('edge-1');
    expect(config.models[0]).toMatchObject({ tiers: ['small', 'large'], fallback: true });
    expect(config.scheduling.timeout_s).toBe(1.5);
    expect(config.log.kind).toBe('lmdb');
    expect(warnings).toEqual([]);
  });

  it('of a wrong value are errors that name the variable', () => {
    expect(
      problems(text, { DATS_GATEWAY_PORT: 'http', DATS_LOG_KIND: 'files', DATS_LOG_PARTITIONS: '0', DATS_MODELS_0_FALLBACK: 'perhaps' }),
    ).toEqual([
      'environment variable DATS_GATEWAY_PORT  gateway.port: "http" is not a number',
      'environment variable DATS_MODELS_0_FALLBACK  models[0].fallback: "perhaps" is not true or false',
      'environment variable DATS_LOG_KIND  log.kind: "files" is not one of lmdb, memory, kafka',
      'environment variable DATS_LOG_PARTITIONS  log.partitions: 0 is too small; at least 1',
    ]);
  });

  it('that are not known are warnings with near names, not errors', () => {
    const { warnings } = load(text, { DATS_GATEWAY_PROT: '1', DATS_MODELS_1_ID: 'b', DATS_URL: 'http://x' });
    expect(warnings[0]).toBe(
      'environment variable DATS_GATEWAY_PROT is not known and was ignored; did you mean DATS_GATEWAY_PORT or DATS_GATEWAY_HOST?',
    );
    expect(warnings[1]).toContain('DATS_MODELS_1_ID is not known and was ignored; did you mean DATS_MODELS_0_ID');
    expect(warnings).toHaveLength(2);
  });

  it('that the file names as the place of a secret is known', () => {
    const nodes = 'nodes:\n  - { id: core, url: "http://127.0.0.1:1" }\n  - { id: edge-1, token_env: DATS_TOKEN_EDGE_1 }\n';
    writeFileSync(join(dir, 'servers.yaml'), `version: 1\nnode: { id: core }\n${nodes}`);
    const { warnings } = loadConfiguration({ env: { DATS_TOKEN_EDGE_1: 'secret', DATS_TOKEN_EDGE_9: 'secret' }, cwd: dir });
    expect(warnings.map((warning) => warning.split(' ')[2])).toEqual(['DATS_TOKEN_EDGE_9']);
  });

  it("change the version as the file does, but for what is the process's own", () => {
    const version = load(text).version;
    expect(version).toMatch(/^[0-9a-f]{12}$/);
    expect(load(`# a comment\n${text}`).version).toBe(version);
    expect(load(text, { DATS_GATEWAY_PORT: '8080' }).version).toBe(version);
    expect(load(text, { DATS_GATEWAY_PORT: '8081', DATS_NODE_ID: 'other' }).version).toBe(version);
    expect(load(text, { DATS_SLOTS_QA: '7' }).version).not.toBe(version);
  });
});

describe('relative paths', () => {
  it('of the file are relative to the file, of a variable to the working directory', () => {
    const inner = join(dir, 'inner');
    mkdirSync(inner);
    writeFileSync(
      join(inner, 'servers.yaml'),
      'version: 1\nnode: { data_dir: ./data }\nmodels:\n  - { id: s, runner: scripted, tiers: [small], script: answers.yaml }\n',
    );
    const found = loadConfiguration({ env: {}, cwd: dir, path: 'inner/servers.yaml' });
    expect(found.baseDir).toBe(inner);
    expect(found.config.node.data_dir).toBe(join(inner, 'data'));
    expect(found.config.models[0]?.script).toBe(join(inner, 'answers.yaml'));
    const moved = loadConfiguration({ env: { DATS_DATA_DIR: 'elsewhere' }, cwd: dir, path: 'inner/servers.yaml' });
    expect(moved.config.node.data_dir).toBe(join(dir, 'elsewhere'));
    const long = loadConfiguration({ env: { DATS_DATA_DIR: 'short', DATS_NODE_DATA_DIR: 'long' }, cwd: dir, path: 'inner/servers.yaml' });
    expect(long.config.node.data_dir).toBe(join(dir, 'long'));
  });
});
