// Reads servers.yaml, overrides single values from the environment, checks all of it and says every problem at once, each with its place.
//
// N1. Nothing else reads the file or DATS_ variables for values of it. N2. What is returned passed `serversSchema`; `node.data_dir` and every `script` are absolute.
// N3. Paths in the file are relative to the file; paths from a variable or an option are relative to the working directory.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import canonicalize from 'canonicalize';
import { LineCounter, parseDocument, type Document as YamlDocument } from 'yaml';
import type { z } from 'zod';
import { unmatchedModels } from '../models/index.js';
import { Fault, type Servers, serversSchema } from '../schemas/index.js';
import { builtInServers } from './configuration-defaults.js';
import { at, describeIssue, offsetOf } from './configuration-problems.js';
import { applyOverrides, type Environment, formatPath } from './overrides.js';
import { asNode } from './own-sections.js';

export interface ConfigurationRequest {
  /** The file to read; it must be there. Default: DATS_CONFIG, then servers.yaml in the working directory, then the built-in defaults. */
  readonly path?: string;
  readonly env: Environment;
  /** Default: the working directory of the process. */
  readonly cwd?: string;
}

export interface Configuration {
  readonly config: Servers;
  /** The first 12 hex digits of the SHA-256 of the effective configuration, without what is the process's own: node, gateway.host, gateway.port. */
  readonly version: string;
  /** The file that was read; undefined: the built-in defaults hold. */
  readonly path: string | undefined;
  /** What relative paths of the file are relative to. */
  readonly baseDir: string;
  /** What is worth saying at start: no file, unknown variables, warnings of the YAML parser, names of models that are not there. */
  readonly warnings: readonly string[];
}

const DEFAULT_FILE = 'servers.yaml';

const refuse = (lines: readonly string[]): never => {
  throw new Fault('terminal', 'bad_configuration', lines.join('\n'));
};

const readIfThere = (path: string, mustExist: boolean): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && !mustExist) return undefined;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : `it cannot be read (${code})`;
    throw new Fault(
      'terminal',
      'bad_configuration',
      `${path}: ${why}; give the path of a servers.yaml, or none to use the built-in defaults`,
      { cause },
    );
  }
};

const shortName = (path: string, cwd: string): string => {
  const name = relative(cwd, path);
  return name === '' || name.startsWith('..') || isAbsolute(name) ? path : name;
};

const syntaxProblems = (document: YamlDocument, file: string, lines: LineCounter): readonly string[] =>
  document.errors.map((error) => {
    const what = error.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
    return `${at(file, lines, error.pos[0])}  not valid YAML: ${what.charAt(0).toLowerCase()}${what.slice(1)}`;
  });

/** Of what is decided under it: where this process listens and keeps its files is its own affair, so all processes of a cluster name the same version. */
const digest = ({ node: _node, gateway: { host: _host, port: _port, ...gateway }, ...rest }: Servers): string =>
  createHash('sha256')
    .update(canonicalize({ ...rest, gateway })!)
    .digest('hex')
    .slice(0, 12);

const absolute = (config: Servers, dataDirBase: string, baseDir: string): Servers => ({
  ...config,
  node: { ...config.node, data_dir: resolve(dataDirBase, config.node.data_dir) },
  models: config.models.map((model) => (model.script === undefined ? model : { ...model, script: resolve(baseDir, model.script) })),
});

/** A configuration made by code instead of a file. @throws ZodError when it does not fit. */
export const configurationOf = (servers: z.input<typeof serversSchema>, baseDir: string): Configuration => {
  const config = serversSchema.parse(servers);
  return { config: absolute(config, baseDir, baseDir), version: digest(config), path: undefined, baseDir, warnings: [] };
};

/** @throws Fault terminal `bad_configuration`; its message has one line for each problem. */
export const loadConfiguration = (request: ConfigurationRequest): Configuration => {
  const cwd = request.cwd ?? process.cwd();
  const named = request.path ?? (request.env.DATS_CONFIG || undefined);
  const path = resolve(cwd, named ?? DEFAULT_FILE);
  const text = readIfThere(path, named !== undefined);
  const baseDir = text === undefined ? cwd : dirname(path);
  const warnings: string[] =
    text === undefined ? [`no ${DEFAULT_FILE} in ${cwd}: the built-in defaults hold (the file of the repository shows them all)`] : [];

  const lines = new LineCounter();
  const file = shortName(path, cwd);
  const document: YamlDocument = parseDocument(text ?? '', { lineCounter: lines, prettyErrors: true });
  if (document.errors.length > 0) refuse(syntaxProblems(document, file, lines));
  for (const warning of document.warnings) warnings.push(`${at(file, lines, warning.pos[0])}  ${warning.message.split('\n')[0]}`);

  const said: unknown = text === undefined ? builtInServers() : (document.toJS({ maxAliasCount: 100 }) ?? {});
  const data = asNode(said, request.env.DATS_NODE_ID);
  const overrides = applyOverrides(data, request.env);
  warnings.push(...overrides.warnings);
  const checked = serversSchema.safeParse(data);
  const problems = [...overrides.problems];
  if (!checked.success)
    problems.push(
      ...checked.error.issues.flatMap((issue) => describeIssue(issue, data, { file, document, lines, variables: overrides.variables })),
    );
  if (problems.length > 0 || !checked.success) return refuse(problems);

  for (const { path: place, message } of unmatchedModels(checked.data, checked.data.models))
    warnings.push(`${at(file, lines, offsetOf(document, place))}  ${formatPath(place)}: ${message}`);

  const dataDirBase = overrides.variables.has('node.data_dir') ? cwd : baseDir;
  return {
    config: absolute(checked.data, dataDirBase, baseDir),
    version: digest(checked.data),
    path: text === undefined ? undefined : path,
    baseDir,
    warnings,
  };
};
