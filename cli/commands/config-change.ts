// `dats config set` and `rollback`. The log decides what counts, and a gateway that runs is asked to write to it: no folder is opened for that.
import type { ConfigPutAnswer, ConfigValue } from '../../schemas/index.js';
import { Fault, isFault } from '../../schemas/index.js';
import { type DatsClient, isRefused } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { settingDiff } from '../render/index.js';
import type { Action, Session } from '../session.js';
import { confirmed, mayAsk } from './confirm.js';
import { mustFit, settingPath, typedValue, withValueAt } from './setting-path.js';

interface Flags {
  readonly reason?: string;
  readonly by?: string;
  readonly ifVersion?: number;
  readonly to?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** @throws Fault `server_unreachable` that says that a gateway is needed */
const withGateway = async <T>(session: Session, use: (client: DatsClient) => Promise<T>): Promise<T> => {
  const client = await session.client();
  try {
    return await use(client);
  } catch (error) {
    if (!isFault(error) || !isRefused(error)) throw error;
    throw new Fault(
      'retryable',
      'server_unreachable',
      `no server answers at ${client.baseUrl}, and a setting is changed by a gateway that runs; start one with "npm start" (or "dats start --roles gateway"), give its address with --url or DATS_URL, or change servers.yaml`,
      { cause: error.cause },
    );
  }
};

const told = (session: Session, answer: ConfigPutAnswer, before: ConfigValue): number => {
  // A server of an earlier version says none.
  const { key, version, changed, config_version, warnings = [] } = answer;
  session.data(answer);
  if (!changed) session.say(`nothing to do: ${key} is so already, since version ${version}`);
  else {
    if (!session.quiet && !session.json) session.note(...settingDiff(before.value, answer.value, session.colours));
    session.say(session.quiet ? String(version) : `${key} is version ${version} now; decisions are made under ${config_version}`);
    session.note(`undo it with: dats config rollback ${key} --to ${before.version}`);
  }
  session.note(...warnings.map((warning) => `dats: ${warning}`));
  return EXIT.ok;
};

export const setSetting: Action = async (session, [name, typed], options) => {
  const { reason, by, ifVersion } = options as Flags;
  const { signal } = session.io;
  const path = settingPath(name!);
  const { key, fields } = path;
  const there = await typedValue(session, path, typed!);
  if (fields.length === 0) mustFit(key, there);
  return withGateway(session, async (client) => {
    const before = await client.setting(key, undefined, { signal });
    const value = withValueAt(before.value, fields, there, key);
    mustFit(key, value);
    return told(session, await client.setSetting(key, value, ifVersion ?? before.version, { reason, by, signal }), before);
  });
};

export const rollBackSetting: Action = async (session, [name], options) => {
  const { reason, by, to: wanted, dryRun = false, yes = false } = options as Flags;
  const { signal } = session.io;
  const { key } = settingPath(name!);
  if (!dryRun) mayAsk(session, yes, 'config rollback');
  return withGateway(session, async (client) => {
    const before = await client.setting(key, undefined, { signal });
    if (before.version === 0) throw badUsage(`${key} was never changed: there is nothing to go back from`);
    const to = wanted ?? before.version - 1;
    const earlier = await client.setting(key, to, { signal });
    if (dryRun) session.data({ key, from: before, to: earlier });
    const tell = dryRun ? session.say : session.note;
    if (!session.json && (dryRun || !session.quiet)) tell(...settingDiff(before.value, earlier.value, session.colours));
    if (dryRun) return EXIT.ok;
    if (!(await confirmed(session, yes, `Bring back version ${to} of ${key}?`))) {
      session.say('nothing was done');
      return EXIT.failed;
    }
    const answer = await client.rollBackSetting(key, to, before.version, { reason, by, signal });
    session.data(answer);
    session.say(
      answer.changed
        ? `${key} is version ${answer.version} now, with the value of version ${to}; decisions are made under ${answer.config_version}`
        : `nothing to do: ${key} is so already, since version ${answer.version}`,
    );
    return EXIT.ok;
  });
};
