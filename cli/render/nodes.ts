// Nodes as lines.
import type { NodeView, NodeVitals } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { table } from './table.js';
import { ago } from './text.js';

const GIB = 1024 ** 3;
const PAINT: Readonly<Record<NodeView['state'], 'green' | 'yellow' | 'red' | 'dim' | undefined>> = {
  here: 'green',
  connected: 'green',
  new: 'dim',
  away: 'yellow',
  lost: 'red',
};

const gpuText = ({
  utilisation_ratio: used,
  memory_used_bytes: taken,
  memory_total_bytes: all,
  temperature_c: celsius,
}: NodeVitals['gpus'][number]) =>
  [
    used === undefined ? '' : `${Math.round(used * 100)}%`,
    taken === undefined || all === undefined ? '' : `${(taken / GIB).toFixed(1)}/${(all / GIB).toFixed(1)} GiB`,
    celsius === undefined ? '' : `${celsius} C`,
  ]
    .filter((part) => part !== '')
    .join(' ') || 'says nothing';

/** Every graphics processor of a machine; what is not known, and that there is none, are two things. */
export const gpusText = (vitals: NodeVitals | null): string => {
  if (vitals === null) return '-';
  return vitals.gpus.length === 0 ? 'no GPU' : vitals.gpus.map(gpuText).join('; ');
};

const modelsText = (vitals: NodeVitals | null): string => {
  if (vitals === null || vitals.models.length === 0) return '-';
  const loaded = vitals.models.filter((model) => model.loaded === true).map(({ id }) => id);
  if (loaded.length > 0) return loaded.join(', ');
  const ok = vitals.models.filter((model) => model.ok).length;
  return `${ok} of ${vitals.models.length} answer`;
};

const lagText = (vitals: NodeVitals | null): string =>
  vitals === null || Object.keys(vitals.lag).length === 0 ? '-' : String(Object.values(vitals.lag).reduce((sum, lag) => sum + lag, 0));

const seenText = ({ state, seen_at }: NodeView, now: number): string =>
  state === 'here' ? 'now' : seen_at === null ? 'never' : ago(now - Date.parse(seen_at));

export const nodeTable = (nodes: readonly NodeView[], now: number, colours: Colours = plain): readonly string[] =>
  table(
    nodes,
    [
      { heading: 'node', cell: ({ id }) => id },
      { heading: 'role', cell: ({ role }) => role },
      {
        heading: 'state',
        cell: ({ state }) => state,
        paint: ({ state }, c) => {
          const paint = PAINT[state];
          return paint === undefined ? (text) => text : c[paint];
        },
      },
      { heading: 'seen', cell: (node) => seenText(node, now) },
      { heading: 'epoch', cell: ({ epoch }) => epoch },
      { heading: 'work', cell: ({ admission }) => admission },
      { heading: 'running', cell: ({ running_work }) => running_work },
      { heading: 'waiting', cell: ({ vitals }) => lagText(vitals) },
      { heading: 'to send', cell: ({ backlog }) => backlog },
      { heading: 'gpu', cell: ({ vitals }) => gpusText(vitals), max: 80 },
      { heading: 'models', cell: ({ vitals }) => modelsText(vitals), max: 40 },
      { heading: 'projects', cell: ({ projects }) => projects.join(', '), max: 40 },
    ],
    colours,
  );
