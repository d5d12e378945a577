// Environment variables that override single values of servers.yaml.
//
// V1. The name is `DATS_` and the path in capitals, joined by `_`: gateway.port is DATS_GATEWAY_PORT, models[0].base_url is DATS_MODELS_0_BASE_URL.
// V2. DATS_DATA_DIR is short for DATS_NODE_DATA_DIR; the long name wins. V3. Lists are written with commas. An empty variable counts as not set.
// V4. A wrong value is an error that names the variable; an unknown DATS_ name is a warning that lists near names.
import { nearNames } from './near-names.js';
import { type Leaf, leaves, type Path } from './schema-walk.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'DATS_';
const ALIASES: Readonly<Record<string, string>> = { DATS_DATA_DIR: 'DATS_NODE_DATA_DIR' };
/** Names with the prefix that are read elsewhere: the address for the command line, the path of the file, the level of the process log. */
export const OTHER_VARIABLES: readonly string[] = ['DATS_URL', 'DATS_CONFIG', 'DATS_LOG_LEVEL'];
/** Names that begin so belong to programs beside the node: `deploy/local`. */
const OTHERS_PREFIX = 'DATS_SERVERS_';

export interface Overrides {
  /** Path in text (`gateway.port`) -> the variable that set it. */
  readonly variables: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export const formatPath = (path: Path): string =>
  path.reduce<string>((text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`), '');

export const variableName = (path: Path): string => PREFIX + path.map((step) => String(step).toUpperCase()).join('_');

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const valueAt = (data: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (here, step) => (typeof here === 'object' && here !== null ? (here as Record<string | number, unknown>)[step] : undefined),
    data,
  );

/** Creates missing objects on the way; gives up silently where the file has something else there, which is a problem of the file. */
const setAt = (data: Record<string, unknown>, path: Path, value: unknown): void => {
  let here: Record<string | number, unknown> = data;
  for (const step of path.slice(0, -1)) {
    if (here[step] === undefined || here[step] === null) here[step] = {};
    const next = here[step];
    if (typeof next !== 'object') return;
    here = next as Record<string | number, unknown>;
  }
  here[path.at(-1)!] = value;
};

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false, '1': true, '0': false, yes: true, no: false };

const convert = (kind: Leaf['kind'], text: string): { readonly value: unknown } | { readonly wrong: string } => {
  if (kind === 'text') return { value: text };
  if (kind === 'list')
    return {
      value: text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean),
    };
  if (kind === 'boolean') {
    const value = BOOLEANS[text.trim().toLowerCase()];
    return value === undefined ? { wrong: `"${text}" is not true or false` } : { value };
  }
  const number = Number(text);
  return text.trim() === '' || !Number.isFinite(number) ? { wrong: `"${text}" is not a number` } : { value: number };
};

/** Variables that the file names as the place of a secret: `token_env: DATS_TOKEN_EDGE_1`. */
const secretsIn = (value: unknown, found = new Set<string>()): ReadonlySet<string> => {
  if (typeof value !== 'object' || value === null) return found;
  for (const [name, one] of Object.entries(value)) {
    if (typeof one === 'string' && name.endsWith('_env')) found.add(one);
    else secretsIn(one, found);
  }
  return found;
};

/** Changes `data` (what the file holds) in place. */
export const applyOverrides = (data: unknown, env: Environment): Overrides => {
  const variables = new Map<string, string>();
  const problems: string[] = [];
  const warnings: string[] = [];
  const root = isRecord(data) ? data : undefined;
  const byName = new Map<string, Leaf>(
    leaves((path) => {
      const list = valueAt(root, path);
      return Array.isArray(list) ? list.length : 0;
    }).map((leaf) => [variableName(leaf.path), leaf]),
  );
  const secrets = secretsIn(root);
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => a.localeCompare(b))) {
    if (secrets.has(name)) continue;
    if (!name.startsWith(PREFIX) || text === undefined || text === '' || OTHER_VARIABLES.includes(name) || name.startsWith(OTHERS_PREFIX))
      continue;
    const long = ALIASES[name];
    if (long !== undefined && (env[long] ?? '') !== '') continue;
    const leaf = byName.get(long ?? name);
    if (leaf === undefined) {
      const near = nearNames(name, [...byName.keys(), ...Object.keys(ALIASES), ...OTHER_VARIABLES]);
      warnings.push(
        `environment variable ${name} is not known and was ignored${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : `; the rule is ${PREFIX} + the path in servers.yaml in capitals, such as DATS_GATEWAY_PORT`}`,
      );
      continue;
    }
    const converted = convert(leaf.kind, text);
    if ('wrong' in converted) problems.push(`environment variable ${name}  ${formatPath(leaf.path)}: ${converted.wrong}`);
    else if (root !== undefined) {
      setAt(root, leaf.path, converted.value);
      variables.set(formatPath(leaf.path), name);
    }
  }
  return { variables, problems, warnings };
};
