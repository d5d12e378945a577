import { describe, expect, it } from 'vitest';
import type { AuditReport } from '../../schemas/index.js';
import { auditLines, checkpointTable, keyLine } from './audit.js';

const ROOT = 'wRDG+wBmR/c1JfE0bWdBFnFH3A7JnAzR5WRpVkGNWz0=';
const REPORT: AuditReport = {
  project_id: 'demo',
  ok: true,
  events: 1_081,
  size: 1_081,
  root: ROOT,
  covered: 1_081,
  uncovered: 0,
  checkpoints: { total: 3, verified: 3 },
  vkey: 'k',
  problems: [],
  problems_total: 0,
};
const linesFor = (change: Partial<AuditReport>, places = new Map(), unreadable: readonly string[] = []) =>
  auditLines({ report: { ...REPORT, ...change }, places, unreadable });

describe('what verifying found', () => {
  it('is one line where all is well', () => {
    expect(linesFor({})).toEqual([
      `1,081 events of project demo: all as they were signed (3 checkpoints, newest covers 1,081, root ${ROOT})`,
    ]);
  });

  it('says of what nothing is proven yet', () => {
    expect(linesFor({ events: 1_082, uncovered: 1 })).toEqual([
      `1,082 events of project demo: 1,081 as they were signed (3 checkpoints, newest covers 1,081, root ${ROOT})`,
      '1 event after the newest checkpoint: nothing is proven of it yet',
    ]);
    const none = { size: 0, root: null, covered: 0, uncovered: 1_081, checkpoints: { total: 0, verified: 0 } };
    expect(linesFor(none)).toEqual(['1,081 events of project demo: nothing is proven, there is no checkpoint yet']);
  });

  it('names each problem, with its place and its task where they are known, and says how many more there are', () => {
    const message = 'dats.task.output.created e-1 at offset 17 is not what was signed as leaf 16';
    const lines = linesFor(
      {
        ok: false,
        covered: 1_079,
        problems: [
          { kind: 'changed', message, offset: 17, leaf: 16 },
          { kind: 'missing', message: 'gone\u001b[31m', offset: 18 },
          { kind: 'bad_signature', message: 'checkpoint of 9 leaves: unsigned' },
        ],
        problems_total: 5,
      },
      new Map([
        [17, { position: 'p3-17', task: 't-1' }],
        [18, { position: 'p3-18' }],
      ]),
      ['events.jsonl, line 4: not what such a line is'],
    );
    expect(lines).toEqual([
      'UNREADABLE     events.jsonl, line 4: not what such a line is',
      `CHANGED        p3-17: ${message} (task t-1)`,
      'MISSING        p3-18: gone[31m',
      'BAD SIGNATURE  checkpoint of 9 leaves: unsigned',
      '… and 2 more',
      `1,081 events of project demo: 1,079 as they were signed, 6 problems (3 checkpoints, newest covers 1,081, root ${ROOT})`,
    ]);
  });

  it('never says only "all is well" where something could not be read', () => {
    expect(linesFor({}, new Map(), ['x']).join('\n')).toContain('1 problem (');
  });
});

it('a key is shown with whose word it is; checkpoints with what they cover', () => {
  expect(keyLine('k', 'given with --key')).toBe('key k (given with --key)');
  const checkpoint = { size: 9, root: ROOT, note: '', time: '2026-11-26T09:00:00.000Z', from: 3, to: 12 };
  expect(checkpointTable({ vkey: 'k', origin: 'o', checkpoints: [checkpoint] })).toEqual([
    'SIZE  SIGNED AT                 ROOT                                          COVERS SINCE',
    `9     2026-11-26T09:00:00.000Z  ${ROOT}  offset 3 to 12`,
  ]);
});
