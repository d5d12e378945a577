// One readable line for every event of cascades, rollbacks, alerts, replays and checkpoints: of the golden fixtures.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type DatsEvent, decode, EVENTS } from '../../schemas/index.js';
import { anEvent } from '../testing.js';
import { eventLine, say } from './index.js';

const FIXTURES = fileURLToPath(new URL('../../schemas/fixtures/', import.meta.url));
const FAMILIES = /^dats\.(cascade|artifact|rollback|security|replay|audit)\./;

const golden = readdirSync(FIXTURES)
  .filter((name) => FAMILIES.test(name))
  .map((name) => {
    const { headers, data } = JSON.parse(readFileSync(FIXTURES + name, 'utf8')) as { headers: Record<string, string>; data: unknown };
    return decode(headers, JSON.stringify(data));
  });
const lineOf = (event: DatsEvent): string => eventLine(event, { start: Date.parse(event.time), label: 'x', labelWidth: 1 });

describe('what is said', () => {
  it('is something of every type', () => {
    expect(new Set(golden.map(({ type }) => type))).toEqual(new Set(Object.keys(EVENTS).filter((type) => FAMILIES.test(type))));
    for (const event of golden) {
      const { verb, detail } = say(event);
      expect([event.type, verb]).toEqual([event.type, expect.stringMatching(/^[a-z ]{4,10}$/)]);
      expect([event.type, detail]).toEqual([event.type, expect.stringMatching(/^(?!.*(undefined|null|NaN|\[object)).{8,}$/s)]);
    }
  });

  it('is what is worth knowing', () => {
    const said = Object.fromEntries(golden.map((event) => [event.type, lineOf(event)]));
    expect(said['dats.cascade.started']).toBe(
      '  +0.00s  x  cascade    from 2 roots, can reach 9 artifacts of 4 tasks, depth 5 (security alert: the model was poisoned)',
    );
    expect(said['dats.cascade.completed']).toBe(
      '  +0.00s  x  cascade    cut: 3 tainted, 1 suspect, 2 cleared, 1 tainted before, depth 4, in 813ms: max_depth: 1 artifact lies deeper',
    );
    expect(said['dats.artifact.tainted']).toBe(
      '  +0.00s  x  tainted    src/a.py (depth 1, made from 6e7f8091a2b3): made from a tainted version of the same file',
    );
    expect(said['dats.artifact.suspect']).toBe('  +0.00s  x  suspect    src/a.py (depth 1, read beside 6e7f8091a2b3)');
    expect(said['dats.artifact.revalidated']).toBe(
      '  +0.00s  x  cleared    of task 6e7f8091a2b3, profile tests, tests:python passed: its tests passed without what is bad',
    );
    expect(said['dats.artifact.reverted']).toBe('  +0.00s  x  reverted   src/a.py goes back to 6e7f8091a2b3');
    expect(said['dats.rollback.started']).toContain(
      'rollback   of what cascade 0192f0c1-cccc-7a4b-8c5d-6e7f8091a2b3 tainted: 3 paths, 2 tasks',
    );
    expect(said['dats.security.alert']).toContain('alert      high secret_leaked, artifact 6e7f8091a2b3 (by ada): a key in src/a.py');
    expect(said['dats.audit.checkpoint']).toContain('checkpoint 2 events of demo signed, root AwMDAwMDAwMD');
  });

  it('of a file that is gone, and of an alert about a task', () => {
    const gone = anEvent('dats.artifact.reverted', 'a', { rollback_id: 'r', artifact_id: 'a', task_id: 't', path: 'src/a.py' });
    expect(lineOf(gone)).toBe('  +0.00s  x  reverted   src/a.py is gone: no good version is left');
    const alert = anEvent('dats.security.alert', 'al', {
      alert_id: 'al',
      kind: 'k',
      severity: 'low',
      task_id: 't',
      detail: 'd\u001b[2J',
      by: 'b',
    });
    expect(lineOf(alert)).toBe('  +0.00s  x  alert      low k, task t (by b): d[2J');
  });
});
