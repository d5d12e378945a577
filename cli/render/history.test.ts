import { describe, expect, it } from 'vitest';
import type { Lineage, LineageNode, Provenance } from '../../schemas/index.js';
import { executionTable, lineageTree, provenanceLines, rowObjects, rowsTable } from './history.js';
import { ago } from './text.js';

const node = (artifact_id: string, depth: number, over: Partial<LineageNode> = {}): LineageNode => ({
  artifact_id,
  depth,
  path: `${artifact_id}.py`,
  task_id: 't',
  project_id: 'p',
  provenance_id: 'x',
  attempt: 1,
  model: 'qwen',
  status: 'accepted',
  taint: 'clean',
  ...over,
});
const lineageOf = (nodes: LineageNode[], edges: readonly (readonly [string, string])[], over: Partial<Lineage> = {}): Lineage => ({
  id: nodes[0]!.artifact_id,
  direction: 'up',
  depth: 10,
  roots: [nodes[0]!.artifact_id],
  nodes,
  edges: edges.map(([source, target]) => ({ source, target, kind: 'consumed' })),
  truncated: false,
  ...over,
});

describe('a lineage', () => {
  it('is a tree that unfolds each artifact once', () => {
    const nodes = [
      node('app', 0),
      node('a', 1),
      node('b', 1, { taint: 'suspect', attempt: 2 }),
      node('spec', 2, { status: 'rejected' }),
      node('lost', 3, { path: null, model: null, status: null }),
    ];
    const edges = [
      ['a', 'app'],
      ['b', 'app'],
      ['spec', 'a'],
      ['spec', 'b'],
      ['lost', 'spec'],
    ] as const;
    expect(lineageTree(lineageOf(nodes, edges))).toEqual([
      'app.py  app  qwen',
      '├─ a.py  a  qwen',
      '│  └─ spec.py  spec  qwen, rejected',
      '│     └─ (not recorded here)  lost',
      '└─ b.py  b  qwen, attempt 2, SUSPECT',
      '   └─ spec.py  spec  qwen, rejected  (see above)',
    ]);
  });

  it('ends where it comes back, and goes down as well', () => {
    const ring = lineageOf(
      [node('a', 0), node('b', 1)],
      [
        ['a', 'b'],
        ['b', 'a'],
      ],
      { direction: 'down' },
    );
    expect(lineageTree(ring)).toEqual(['a.py  a  qwen', '└─ b.py  b  qwen', '   └─ a.py  a  qwen  (see step 0)']);
  });

  it('of many roots has a tree for each', () => {
    const two = lineageOf(
      [node('a', 0), node('b', 0), node('c', 1)],
      [
        ['c', 'a'],
        ['c', 'b'],
      ],
      { roots: ['a', 'b'] },
    );
    expect(lineageTree(two).filter((line) => /^\S/.test(line) && !/^[└├]/.test(line))).toEqual(['a.py  a  qwen', 'b.py  b  qwen']);
  });

  it('of the deepest kind is told', () => {
    const chain = Array.from({ length: 51 }, (_, i) => node(`n${i}`, i));
    const edges = chain.slice(1).map((one, i) => [one.artifact_id, `n${i}`] as const);
    expect(lineageTree(lineageOf(chain, edges))).toHaveLength(51);
  });
});

describe('rows', () => {
  const answer = {
    columns: [{ name: 'model' }, { name: 'n' }, { name: 'n' }, { name: 'x' }],
    rows: [
      ['qwen\u001b[31m', 12, null, ['a', 1]],
      ['y'.repeat(100), 3, 4.5, { k: true }],
    ],
  };

  it('are aligned, cleaned and cut', () => {
    expect(rowsTable(answer, 80)).toEqual([
      `MODEL${' '.repeat(57)}N   N    X`,
      `qwen[31m${' '.repeat(54)}12  -    ["a",1]`,
      `${'y'.repeat(59)}…  3   4.5  {"k":true}`,
    ]);
  });

  it('of one column may be as wide as the terminal', () => {
    expect(rowsTable({ columns: [{ name: 'statement' }], rows: [['z'.repeat(90)]] }, 100)[1]).toHaveLength(90);
  });

  it('are objects that lose no column', () => {
    expect(rowObjects(answer)[1]).toEqual({ model: 'y'.repeat(100), n: 3, n_2: 4.5, x: { k: true } });
  });
});

describe('a record', () => {
  const record: Provenance = {
    provenance_id: 'prov-1',
    project_id: 'p',
    task_id: 't1',
    parent_id: null,
    attempt: 2,
    status: 'rejected',
    model: 'qwen',
    provider: 'ollama',
    scripted: false,
    prompt_version: 'generate.1',
    tier: 'small',
    domain: 'code',
    node: 'n1',
    started_at: '2026-11-21T10:00:00.100Z',
    finished_at: '2026-11-21T10:00:01.000Z',
    duration_ms: 700,
    input_tokens: 100,
    output_tokens: 50,
    score: 0.5,
    error_code: null,
    taint: 'tainted',
    mode: 'fix',
    priority: 'normal',
    model_digest: null,
    prompt_sha256: 'ab'.repeat(32),
    config_version: 'c0ffee',
    worker: 'n1:1',
    fence: '7',
    ready_at: '2026-11-21T10:00:00.000Z',
    output_at: '2026-11-21T10:00:00.800Z',
    queue_ms: 100,
    total_ms: 1_000,
    cost_usd: 0.0025,
    confidence: null,
    verification: { profile: 'tests', score: 0.5, passed: ['syntax:python'], failed: ['tests:python'], reasons: ['add(1, 2)\ngave 4'] },
    error: null,
    artifacts: [{ artifact_id: 'a1', path: 'src/add.py', type: 'python', sha256: 'cd'.repeat(32), bytes: 42, taint: 'tainted' }],
    consumed: [{ artifact_id: 'a0', task_id: 't0', path: null }],
    decision: {
      chosen: 'b',
      reason: 'rule',
      rules: ['gpu-busy'],
      candidates: [
        {
          id: 'a',
          verdict: 'avoided',
          tier_distance: 0,
          preference: 10,
          features: { load: 1 },
          score: 30,
          parts: { preference: 10, load: 20 },
        },
        {
          id: 'b',
          verdict: 'chosen',
          tier_distance: 0,
          preference: 50,
          features: { load: 0 },
          score: 50.004,
          parts: { preference: 50, load: 0.004 },
        },
      ],
    },
    calls: [
      {
        model: 'a',
        provider: 'ollama',
        outcome: 'error',
        error_type: 'model_unreachable',
        input_tokens: 0,
        output_tokens: 0,
        duration_ms: 4,
      },
      { model: 'b', provider: 'openai', outcome: 'ok', hedge: true, input_tokens: 9, output_tokens: 3, duration_ms: 812 },
    ],
    trace_id: null,
    correlation_id: 'c',
    event: { id: 'e1', topic: 'dats.lifecycle', partition: 2, offset: 18 },
  };

  it('has a fact a line, and nothing of what is not there', () => {
    const lines = provenanceLines(record);
    expect(lines).toContain('status     rejected, tainted');
    expect(lines).toContain('started    2026-11-21T10:00:00.100Z (waited 100ms)');
    expect(lines).toContain('chosen     b (rule: gpu-busy) among a avoided 30, b chosen 50');
    expect(lines).toContain('calls      a model_unreachable after 4ms; then b ok after 812ms (beside a slow one)');
    expect(lines).toContain('tokens     100 in, 50 out, 0.0025 USD');
    expect(lines).toContain('  because  add(1, 2) gave 4');
    expect(lines).toContain('  a1  src/add.py  python, 42 B, sha256 cdcdcdcdcdcd  TAINTED');
    expect(lines).toContain('  a0  (not recorded here)  of task t0');
    expect(lines.join('\n')).not.toMatch(/trace|error {2}|confidence|null|undefined/);
    expect(provenanceLines({ ...record, cost_usd: null }).join('\n')).toContain('cost not known');
  });

  it('is a row of a list', () => {
    const [, line] = executionTable([record]);
    expect(line).toBe('prov-1     2026-11-21 10:00:01  rejected  2    p        qwen   generate.1  700ms  tainted  src/add.py');
  });
});

it('says in words how long ago something was', () => {
  expect([-5, 0, 59_000, 60_000, 3_600_000 * 5, 86_400_000 * 3].map(ago)).toEqual([
    '0 s ago',
    '0 s ago',
    '59 s ago',
    '1 min ago',
    '5 h ago',
    '3 days ago',
  ]);
});
