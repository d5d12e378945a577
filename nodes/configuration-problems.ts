// A problem of servers.yaml in one plain line: where, what is wrong, how to mend it.
import { isMap, isNode, isPair, isScalar, isSeq, type LineCounter, type Document as YamlDocument } from 'yaml';
import type { z } from 'zod';
import { nearNames } from './near-names.js';
import { formatPath } from './overrides.js';
import { knownKeys, type Path } from './schema-walk.js';

type Issue = z.core.$ZodIssue;

export interface Source {
  readonly file: string;
  readonly document: YamlDocument;
  readonly lines: LineCounter;
  /** Path -> the environment variable its value came from. */
  readonly variables: ReadonlyMap<string, string>;
}

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

/** Offset of the deepest node on the way to `path`; with `key`, of that key in the object there. */
export const offsetOf = (document: YamlDocument, path: Path, key?: string): number => {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const step of key === undefined ? path : [...path, key]) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(step));
      if (pair === undefined) return offset;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      next = pair.value;
      // An unknown key is pointed at itself; a wrong value at the value.
      if (key !== undefined && step === key) return offset;
    } else if (isSeq(node)) next = node.items[Number(step)];
    if (next === undefined || next === null) return offset;
    node = next;
    if (isNode(node)) offset = node.range?.[0] ?? offset;
  }
  return offset;
};

export const at = (file: string, lines: LineCounter, offset: number): string => {
  const { line, col } = lines.linePos(offset);
  return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
};

const meant = (typed: string, known: readonly string[]): string => {
  const near = nearNames(typed, known, 1);
  return near.length > 0 ? `; did you mean "${near[0]}"?` : '';
};

const EXPECTED: Readonly<Record<string, string>> = {
  object: 'a mapping (key: value)',
  record: 'a mapping (key: value)',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
};

const sayWhat = (issue: Issue, value: unknown): string => {
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return `is missing; give ${EXPECTED[issue.expected] ?? issue.expected}`;
      return `${show(value)} is not ${EXPECTED[issue.expected] ?? issue.expected}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      if (value === undefined) return `is missing; give ${values.length === 1 ? values[0] : `one of ${values.join(', ')}`}`;
      if (values.length === 1) return `${show(value)} is not ${values[0]}, the only value there is`;
      return `${show(value)} is not one of ${values.join(', ')}${meant(String(value), values)}`;
    }
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `${show(value)} is too large; at most ${issue.maximum}`
        : `is too long; at most ${issue.maximum}`;
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `${show(value)} is too small; ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`
        : `needs at least ${issue.minimum} ${issue.origin === 'array' ? 'entries' : 'characters'}`;
    case 'invalid_format':
      return issue.format === 'url'
        ? `${show(value)} is not a URL that begins with http:// or https://, such as http://127.0.0.1:11434`
        : `${show(value)} does not fit: ${issue.message}`;
    default:
      return issue.message;
  }
};

const valueAt = (data: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (here, step) => (typeof here === 'object' && here !== null ? (here as Record<PropertyKey, unknown>)[step] : undefined),
    data,
  );

/** One line for each problem of an issue. */
export const describeIssue = (issue: Issue, data: unknown, source: Source): readonly string[] => {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  const where = (key?: string): string => {
    const variable = source.variables.get(formatPath(path));
    return variable === undefined
      ? at(source.file, source.lines, offsetOf(source.document, path, key))
      : `environment variable ${variable}`;
  };
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path);
    return issue.keys.map(
      (key) =>
        `${where(key)}  ${formatPath([...path, key])}: unknown key "${key}"${meant(key, known) || (known.length > 0 ? `; known here: ${known.join(', ')}` : '')}`,
    );
  }
  const name = path.length === 0 ? '(the whole file)' : formatPath(path);
  return [`${where()}  ${name}: ${sayWhat(issue, valueAt(data, issue.path))}`];
};
