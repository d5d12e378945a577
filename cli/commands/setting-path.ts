// Which setting is meant, and what it is to be: names, paths into a setting, and values as they are typed. Pure but for reading what is named.
import { existsSync, statSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { CONFIG_KEY_NAMES, CONFIG_KEYS, type ConfigKey } from '../../schemas/index.js';
import { badUsage } from '../exit.js';
import type { Session } from '../session.js';
import { problemsOf } from '../submission.js';

export interface SettingPath {
  readonly key: ConfigKey;
  /** Fields below the setting; empty: the whole of it. */
  readonly fields: readonly string[];
}

/** `scheduling`, or `scheduling.projects.website`. @throws Fault `bad_usage` */
export const settingPath = (text: string): SettingPath => {
  const key = CONFIG_KEY_NAMES.find((name) => text === name || text.startsWith(`${name}.`));
  if (key === undefined) throw badUsage(`there is no setting "${text.slice(0, 60)}"; there are ${CONFIG_KEY_NAMES.join(', ')}`);
  const fields = text === key ? [] : text.slice(key.length + 1).split('.');
  if (fields.some((field) => field === '')) throw badUsage(`"${text.slice(0, 60)}" has an empty part; write it as ${key}.field.field`);
  return { key, fields };
};

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What stands at a path; undefined where nothing does. */
export const valueAt = (value: unknown, fields: readonly string[]): unknown =>
  fields.reduce<unknown>((here, field) => (isFields(here) && Object.hasOwn(here, field) ? here[field] : undefined), value);

/** The value with another one at a path; null takes the field away. @param where what the value is called @throws Fault `bad_usage` where the path leads through what has no fields */
export const withValueAt = (value: unknown, [field, ...rest]: readonly string[], there: unknown, where: string): unknown => {
  if (field === undefined) return there;
  if (value !== undefined && !isFields(value))
    throw badUsage(`${where} is ${Array.isArray(value) ? 'a list, and lists are set whole' : 'a single value and has no fields'}`);
  const { [field]: before, ...others } = value ?? {};
  if (rest.length === 0 && there === null) return others;
  return { ...others, [field]: withValueAt(before, rest, there, `${where}.${field}`) };
};

const parsed = (text: string, what: string): unknown => {
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw badUsage(`${what} is neither JSON nor YAML: ${error.message.split('\n', 1)[0]}`);
  return document.toJS({ maxAliasCount: 100 });
};

/** A system message is text, whatever it looks like. */
const isText = ({ key, fields }: SettingPath): boolean => key.startsWith('prompts.') && fields.length === 1 && fields[0] === 'system';

const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile();

/** What was typed as a value: `-` for standard input, the name of a file that is there, or the value itself. @throws Fault `bad_usage` */
export const typedValue = async (session: Session, path: SettingPath, typed: string): Promise<unknown> => {
  const [text, what] =
    typed === '-'
      ? [await session.io.stdin(), 'standard input']
      : isFile(session.path(typed))
        ? [session.read(typed), typed]
        : [typed, `"${typed.slice(0, 60)}"`];
  if (isText(path)) return text.replace(/\r?\n$/, '');
  const value = parsed(text, what);
  if (path.fields.length === 0 && value !== null && !isFields(value))
    throw badUsage(
      `${what} is no value of ${path.key}: give a file that is there, "-" for standard input, or fields in JSON or YAML; null gives it back to servers.yaml. One field: dats config set ${path.key}.<field> <value>`,
    );
  return value;
};

/** @throws Fault `bad_usage` naming each place that does not fit */
export const mustFit = (key: ConfigKey, value: unknown): void => {
  if (value === null) return;
  const problems = problemsOf(value, (path) => [key, ...(path === '' ? [] : path.split('/'))].join('.'), CONFIG_KEYS[key].schema);
  if (problems.length > 0) throw badUsage(problems.join('\n'));
};
