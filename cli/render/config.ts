// Settings as lines.
import { stringify } from 'yaml';
import type { ConfigEntry, ConfigValue, ConfigVersions } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { table } from './table.js';
import { clip, harmless, oneLine } from './text.js';
import { diffLines } from './text-diff.js';

const WIDTH = 100;
const instant = (time: string | null): string | null => time?.slice(0, 19).replace('T', ' ') ?? null;

/** A value as YAML. */
export const valueText = (value: unknown): string => stringify(value, { lineWidth: WIDTH }).trimEnd();

const whyText = ({ reason, rolled_back_to }: Pick<ConfigEntry, 'reason' | 'rolled_back_to'>): string | null => {
  const back = rolled_back_to === null ? [] : [`version ${rolled_back_to} again`];
  const why = [...back, ...(reason === null ? [] : [reason])].join(': ');
  return why === '' ? null : why;
};

export const settingTable = (entries: readonly ConfigEntry[], colours: Colours = plain): readonly string[] =>
  table(
    entries,
    [
      { heading: 'setting', cell: ({ key }) => key },
      { heading: 'version', cell: ({ version, holds }) => (version === holds ? version : `${version} (${holds} holds)`) },
      { heading: 'from', cell: ({ source }) => source },
      { heading: 'changed', cell: ({ changed_at }) => instant(changed_at) },
      { heading: 'by', cell: ({ by }) => by, max: 20 },
      { heading: 'because', cell: whyText, max: 40 },
      { heading: 'what it is', cell: ({ description }) => description, max: 80 },
    ],
    colours,
  );

export const versionTable = (versions: ConfigVersions['versions'], colours: Colours = plain): readonly string[] =>
  table(
    versions,
    [
      { heading: 'version', cell: ({ version }) => version },
      { heading: 'from', cell: ({ source, fits }) => (fits ? source : `${source}, does not fit this build`) },
      { heading: 'changed', cell: ({ changed_at }) => instant(changed_at) },
      { heading: 'by', cell: ({ by }) => by, max: 30 },
      { heading: 'because', cell: whyText, max: 80 },
    ],
    colours,
  );

/** A version with its value: YAML that `dats config set` takes back. */
export const settingLines = (setting: ConfigValue, colours: Colours = plain): readonly string[] => {
  const { key, version, source, changed_at, by, holds } = setting;
  const why = whyText(setting);
  const made =
    changed_at === null ? source : `by ${oneLine(by ?? '-')}, ${instant(changed_at)}${why === null ? '' : `: ${clip(oneLine(why), 200)}`}`;
  const old = holds === version ? [] : [colours.yellow(`# version ${holds} holds`)];
  return [colours.dim(`# ${key}, version ${version} (${made})`), ...old, ...valueText(setting.value).split('\n').map(harmless)];
};

/** What changes from one value to another. */
export const settingDiff = (from: unknown, to: unknown, colours: Colours = plain): readonly string[] => {
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(`${valueText(value)}\n`);
  return diffLines(bytes(from), bytes(to), { colours });
};
