// `dats config get`, `versions` and `diff`: what holds, what held, and what changed in between. A data folder is looked at where no server answers.
import { badUsage, EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import { settingDiff, settingLines, settingTable, valueText, versionTable } from '../render/index.js';
import type { Action } from '../session.js';
import { settingPath, valueAt } from './setting-path.js';

const showAll: Action = async (session) => {
  const list = await withServer(session, LOOKING, (client) => client.settings({ signal: session.io.signal }));
  session.data(list);
  session.say(...settingTable(list.keys, session.colours));
  session.note(`decisions are made under version ${list.config_version}`);
  return EXIT.ok;
};

export const showSetting: Action = async (session, [name], options) => {
  const version = options['version'] as number | undefined;
  if (name === undefined) {
    if (version !== undefined) throw badUsage('--version needs a setting: dats config get <setting> --version <n>');
    return showAll(session, [], options);
  }
  const { key, fields } = settingPath(name);
  const setting = await withServer(session, LOOKING, (client) => client.setting(key, version, { signal: session.io.signal }));
  if (fields.length === 0) {
    session.data(setting);
    session.say(...settingLines(setting, session.colours));
    return EXIT.ok;
  }
  const value = valueAt(setting.value, fields);
  if (value === undefined) throw badUsage(`${key} has no ${fields.join('.')}; see all of it with: dats config get ${key}`);
  session.data(value);
  session.say(valueText(value));
  return EXIT.ok;
};

export const showVersions: Action = async (session, [name]) => {
  const { key } = settingPath(name!);
  const found = await withServer(session, LOOKING, (client) => client.settingVersions(key, { signal: session.io.signal }));
  session.data(found);
  session.say(...versionTable(found.versions, session.colours));
  return EXIT.ok;
};

const versionIn = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badUsage(`"${text.slice(0, 60)}" is no version; they are whole numbers: dats config versions <setting>`);
  return Number(text);
};

export const showDiff: Action = async (session, [name, first, second]) => {
  const { signal } = session.io;
  const { key } = settingPath(name!);
  const asked = { from: versionIn(first), to: versionIn(second) };
  return withServer(session, LOOKING, async (client) => {
    const query = { ...(asked.from === undefined ? {} : { from: asked.from }), ...(asked.to === undefined ? {} : { to: asked.to }) };
    const diff = await client.settingDiff(key, query, { signal });
    session.data(diff);
    if (session.json) return EXIT.ok;
    const [from, to] = await Promise.all([client.setting(key, diff.from, { signal }), client.setting(key, diff.to, { signal })]);
    session.note(`${key}: version ${diff.from} -> ${diff.to}`);
    session.say(...settingDiff(from.value, to.value, session.colours));
    return EXIT.ok;
  });
};
