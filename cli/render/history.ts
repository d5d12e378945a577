// What history answers, as lines: rows of a statement, executions, a record, a lineage as a tree.
import type { Execution, Lineage, LineageNode, Provenance, Taint } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { table } from './table.js';
import { bytes, clip, duration, oneLine } from './text.js';

interface Rows {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

/** Longest cell, where there are several columns; characters. */
const CELL_WIDTH = 60;
const HEADING_WIDTH = 40;

const cellText = (value: unknown): string | null => {
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
};

/** @param width of the terminal: what one column alone may take */
export const rowsTable = ({ columns, rows }: Rows, width: number, colours: Colours = plain): readonly string[] =>
  table(
    rows,
    columns.map(({ name }, i) => ({
      heading: clip(oneLine(name), HEADING_WIDTH),
      cell: (row) => cellText(row[i]),
      max: columns.length === 1 ? Math.max(width, CELL_WIDTH) : CELL_WIDTH,
    })),
    colours,
  );

/** Each row as an object; a column's name that is there already gets a number. */
export const rowObjects = ({ columns, rows }: Rows): readonly Record<string, unknown>[] => {
  const names: string[] = [];
  for (const { name } of columns) {
    let free = name;
    for (let n = 2; names.includes(free); n++) free = `${name}_${n}`;
    names.push(free);
  }
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
};

const paintStatus = (status: string | null, colours: Colours): ((text: string) => string) => {
  if (status === 'accepted') return colours.green;
  if (status === 'rejected') return colours.yellow;
  return status === null || status === 'cancelled' ? (text) => text : colours.red;
};
const paintTaint = (taint: Taint, colours: Colours): ((text: string) => string) =>
  taint === 'clean' ? (text) => text : taint === 'tainted' ? colours.red : colours.yellow;

export const executionTable = (executions: readonly Execution[], colours: Colours = plain): readonly string[] =>
  table(
    executions,
    [
      { heading: 'execution', cell: (one) => one.provenance_id },
      { heading: 'finished', cell: (one) => one.finished_at.slice(0, 19).replace('T', ' ') },
      { heading: 'status', cell: (one) => one.status, paint: (one, c) => paintStatus(one.status, c) },
      { heading: 'att', cell: (one) => one.attempt },
      { heading: 'project', cell: (one) => one.project_id, max: 24 },
      { heading: 'model', cell: (one) => one.model, max: 24 },
      { heading: 'prompt', cell: (one) => one.prompt_version, max: 24 },
      { heading: 'took', cell: (one) => (one.duration_ms === null ? null : duration(one.duration_ms)) },
      { heading: 'taint', cell: (one) => one.taint, paint: (one, c) => paintTaint(one.taint, c) },
      { heading: 'made', cell: (one) => one.artifacts.map(({ path }) => path).join(', ') || null, max: 60 },
    ],
    colours,
  );

const ms = (value: number | null): string => (value === null ? '?' : duration(value));
const usd = (value: number | null): string => (value === null ? 'cost not known' : `${Number(value.toPrecision(6))} USD`);

const verificationLines = ({ verification }: Provenance): readonly string[] => {
  if (verification === null) return [];
  const { profile, score, passed, failed, reasons } = verification;
  return [
    `${'checks'.padEnd(11)}profile ${profile}${score === null ? '' : `, score ${score}`}`,
    ...passed.map((name) => `  passed   ${oneLine(name)}`),
    ...failed.map((name) => `  failed   ${oneLine(name)}`),
    ...reasons.map((reason) => `  because  ${clip(oneLine(reason), 200)}`),
  ];
};

/** A record: one fact a line. */
const points = (score: number): string => String(Math.round(score * 100) / 100);

/** Who was chosen and why, and what became of the others; null where nothing is recorded of it. */
const choiceLine = ({ decision }: Provenance): string | null => {
  if (decision === null) return null;
  const { chosen, reason, rules = [], candidates } = decision;
  const by = rules.length === 0 ? reason : `${reason}: ${rules.join(', ')}`;
  const others = candidates.map(({ id, verdict, score }) => `${oneLine(id)} ${verdict.replaceAll('_', ' ')} ${points(score)}`);
  return `${chosen === undefined ? 'nobody' : oneLine(chosen)} (${by}) among ${others.join(', ')}`;
};

const callText = ({ model, outcome, error_type, hedge, duration_ms }: Provenance['calls'][number]): string =>
  `${oneLine(model)} ${error_type ?? outcome} after ${ms(duration_ms)}${hedge === true ? ' (beside a slow one)' : ''}`;

export const provenanceLines = (record: Provenance, colours: Colours = plain): readonly string[] => {
  const { model, taint, error } = record;
  const made =
    model === null
      ? null
      : `${oneLine(model)} (${record.scripted ? 'scripted: no model was asked' : record.provider}${record.model_digest === null ? '' : `, ${record.model_digest}`})`;
  const facts: readonly (readonly [string, string | null])[] = [
    ['execution', record.provenance_id],
    ['task', `${record.task_id}, attempt ${record.attempt}${record.parent_id === null ? '' : `, part of ${record.parent_id}`}`],
    ['project', `${record.project_id}${record.priority === null ? '' : `, priority ${record.priority}`}`],
    ['status', paintStatus(record.status, colours)(record.status) + (taint === 'clean' ? '' : `, ${paintTaint(taint, colours)(taint)}`)],
    ['error', error === null ? null : `${error.code}: ${clip(oneLine(error.message), 200)}`],
    ['route', record.tier === null ? null : `${record.mode} ${record.domain} -> tier ${record.tier}`],
    ['model', made],
    ['chosen', choiceLine(record)],
    ['calls', record.calls.length === 0 ? null : record.calls.map(callText).join('; then ')],
    [
      'prompt',
      record.prompt_version === null
        ? null
        : `${record.prompt_version}${record.prompt_sha256 === null ? '' : `, sha256 ${record.prompt_sha256.slice(0, 12)}`}`,
    ],
    ['where', record.node === null ? null : `node ${record.node}, worker ${record.worker}, fence ${record.fence}`],
    ['ready', record.ready_at],
    ['started', record.started_at === null ? null : `${record.started_at} (waited ${ms(record.queue_ms)})`],
    ['output', record.output_at === null ? null : `${record.output_at} (the model took ${ms(record.duration_ms)})`],
    ['finished', `${record.finished_at} (${ms(record.total_ms)} in all)`],
    ['tokens', `${record.input_tokens} in, ${record.output_tokens} out, ${usd(record.cost_usd)}`],
    ['confidence', record.confidence === null ? null : String(record.confidence)],
    ['config', record.config_version],
    ['trace', record.trace_id],
    ['event', `${record.event.id} at ${record.event.topic} ${record.event.partition}/${record.event.offset}`],
  ];
  return [
    ...facts.filter(([, value]) => value !== null).map(([name, value]) => `${name.padEnd(11)}${value}`),
    ...verificationLines(record),
    ...(record.artifacts.length === 0 ? [] : ['made']),
    ...record.artifacts.map(
      (one) =>
        `  ${one.artifact_id}  ${oneLine(one.path)}  ${one.type}, ${bytes(one.bytes)}, sha256 ${one.sha256.slice(0, 12)}${one.taint === 'clean' ? '' : `  ${paintTaint(one.taint, colours)(one.taint.toUpperCase())}`}`,
    ),
    ...(record.consumed.length === 0 ? [] : ['made from']),
    ...record.consumed.map(
      (one) =>
        `  ${one.artifact_id}  ${one.path === null ? '(not recorded here)' : oneLine(one.path)}${one.task_id === null ? '' : `  of task ${one.task_id}`}`,
    ),
  ];
};

const nodeLabel = (node: LineageNode, colours: Colours): string => {
  const { artifact_id, path, model, status, taint, attempt } = node;
  const facts = [
    model === null ? null : oneLine(model),
    status === null || status === 'accepted' ? null : paintStatus(status, colours)(status),
    attempt !== null && attempt > 1 ? `attempt ${attempt}` : null,
    taint === 'clean' ? null : paintTaint(taint, colours)(taint.toUpperCase()),
  ].filter((fact) => fact !== null);
  return `${path === null ? '(not recorded here)' : oneLine(path)}  ${colours.dim(artifact_id)}${facts.length === 0 ? '' : `  ${facts.join(', ')}`}`;
};

/** A lineage as a tree: each artifact unfolded once, where it is nearest to the root; elsewhere it is named only. */
export const lineageTree = ({ direction, roots, nodes, edges }: Lineage, colours: Colours = plain): readonly string[] => {
  const byId = new Map(nodes.map((node) => [node.artifact_id, node]));
  const below = new Map<string, LineageNode[]>();
  for (const { source, target } of edges) {
    const [near, far] = direction === 'up' ? [target, source] : [source, target];
    const node = byId.get(far);
    if (node === undefined) continue;
    const known = below.get(near);
    if (known === undefined) below.set(near, [node]);
    else known.push(node);
  }
  const unfolded = new Set<string>();
  const lines: string[] = [];
  const unfold = (node: LineageNode, lead: string, stem: string): void => {
    const again = unfolded.has(node.artifact_id);
    const inner = below.get(node.artifact_id) ?? [];
    lines.push(`${lead}${nodeLabel(node, colours)}${again && inner.length > 0 ? colours.dim('  (see above)') : ''}`);
    if (again) return;
    unfolded.add(node.artifact_id);
    inner.forEach((one, i) => {
      const last = i === inner.length - 1;
      const branch = last ? '└─ ' : '├─ ';
      // Only downwards: what is as near to the root, or nearer, has its own place.
      if (one.depth === node.depth + 1) unfold(one, stem + branch, stem + (last ? '   ' : '│  '));
      else lines.push(`${stem}${branch}${nodeLabel(one, colours)}${colours.dim(`  (see step ${one.depth})`)}`);
    });
  };
  for (const id of roots) {
    const root = byId.get(id);
    if (root !== undefined) unfold(root, '', '');
  }
  return lines;
};
