import { describe, expect, it } from 'vitest';
import type { ArtifactView, ProjectStatus, TaskView } from '../../schemas/index.js';
import { anEvent } from '../testing.js';
import { coloursFor, duration, eventLine, gist, oneLine, openProgress, originLine, projectLines, table, taskLines } from './index.js';

const start = Date.parse('2026-11-21T10:00:00.000Z');
const line = (event: Parameters<typeof eventLine>[0]): string => eventLine(event, { start, label: 'slugify', labelWidth: 10 });
const at = '2026-11-21T10:00:00.420Z';

describe('an event line', () => {
  it('says when, what, and of a failed check the line that counts', () => {
    const detail =
      "Traceback (most recent call last):\n  File \"t.py\", line 3\nAssertionError: 'a b' != 'a-b'\n- a b\n+ a-b\n\nRan 1 test in 0.1s";
    const rejected = anEvent(
      'dats.task.rejected',
      't',
      {
        task_id: 't',
        attempt: 1,
        profile: 'tests',
        score: 0.5,
        retryable: true,
        reasons: ['r'],
        checks: [{ name: 'tests:python', status: 'failed', detail, duration_ms: 3 }],
      },
      at,
    );
    expect(line(rejected)).toBe("  +0.42s  slugify     rejected   tests:python failed: AssertionError: 'a b' != 'a-b'");
  });

  it('names a retry on a higher tier, a scripted answer and a failure', () => {
    expect(
      line(
        anEvent(
          'dats.task.retry.scheduled',
          't',
          { task_id: 't', attempt: 2, due: at, backoff_ms: 114, tier: 'medium', escalated: true, reason: 'r' },
          at,
        ),
      ),
    ).toBe('  +0.42s  slugify     retry      attempt 2 in 114ms on tier medium (escalated)');
    expect(
      line(
        anEvent(
          'dats.task.failed',
          't',
          { task_id: 't', attempt: 1, error: { code: 'no_model', message: 'none\nanswers', retryable: false } },
          at,
        ),
      ),
    ).toBe('  +0.42s  slugify     failed     no_model: none answers');
  });

  it('keeps the name of a type it does not know', () => {
    const event = {
      ...anEvent('dats.task.completed', 't', { task_id: 't', attempt: 1, provenance_id: 'p', execution_time_ms: 1 }, at),
      type: 'dats.story.told',
    };
    expect(line(event as never)).toBe('  +0.42s  slugify     story.told');
  });

  it('lets no control character of a model reach the terminal', () => {
    const cancelled = anEvent('dats.task.cancelled', 't', { task_id: 't', reason: '\u001b[2Jgone\u0007\nnow', by: 'me' }, at);
    expect(line(cancelled)).toBe('  +0.42s  slugify     cancelled  [2Jgone now (by me)');
  });

  it('has colours only where they are asked for', () => {
    const event = anEvent('dats.task.completed', 't', { task_id: 't', attempt: 1, provenance_id: 'p', execution_time_ms: 1 }, at);
    expect(eventLine(event, { start, label: 'x', colours: coloursFor(true) })).toContain('\u001b[32m');
    expect(line(event)).not.toContain('\u001b');
  });
});

describe('text', () => {
  it('is cut to the gist of a long report', () => {
    expect(gist('one\nValueError: bad thing\nat somewhere')).toBe('ValueError: bad thing');
    expect(gist('nothing special\nlast line\n')).toBe('last line');
    expect(oneLine('a\t b\r\n c')).toBe('a b c');
  });

  it('shows durations in the unit that fits', () => {
    expect([duration(3.4), duration(1_550), duration(61_000)]).toEqual(['3ms', '1.55s', '1m01s']);
  });
});

describe('a table', () => {
  it('is as wide as its widest cell, clipped, and shows what is missing', () => {
    const rows = [
      { a: 'x', b: null },
      { a: 'longer', b: 'a text that is clipped' },
    ];
    expect(
      table(rows, [
        { heading: 'a', cell: (row) => row.a },
        { heading: 'bee', cell: (row) => row.b, max: 10 },
      ]),
    ).toEqual(['A       BEE', 'x       -', 'longer  a text th…']);
  });
});

describe('progress', () => {
  it('counts each task once by where it stands, and a terminal state stays', () => {
    const progress = openProgress();
    const take = (type: string, subject: string): boolean => progress.take({ type, subject } as never);
    for (const id of ['a', 'b', 'c']) take('dats.task.created', id);
    take('dats.task.started', 'a');
    take('dats.task.started', 'b');
    take('dats.task.completed', 'a');
    expect(take('dats.task.started', 'a')).toBe(false);
    take('dats.task.cancelled', 'c');
    expect(progress.line()).toBe('2/3 ended, 1 running, 1 completed, 1 cancelled');
  });
});

describe('views', () => {
  it('say where an artifact came from, honestly', () => {
    const artifact = {
      path: 'slug.py',
      bytes: 2048,
      sha256: 'abcdef0123456789',
      model: 'recorded',
      scripted: true,
      prompt_version: 'g@1',
      attempt: 2,
      consumed: ['x'],
      accepted: false,
      taint: 'tainted',
    };
    expect(originLine(artifact as unknown as ArtifactView)).toBe(
      'slug.py  2.0 KiB, sha256 abcdef012345; made by recorded (scripted: no model was asked), prompt g@1, attempt 2, from 1 input, NOT accepted by the checks, TAINTED',
    );
  });

  it('say of a task that what it made was marked or taken back', () => {
    const task = { title: 't', verdict: null, artifacts: [], children: [], depends_on: [], mode: null, model: null, error: null } as const;
    const lines = (flags: readonly string[]) =>
      taskLines({ ...task, state: 'completed', waiting_for: null, execution_time_ms: null, flags } as unknown as TaskView);
    expect(lines(['tainted', 'rolled_back'])).toContain('marked    tainted, rolled back');
    expect(lines([]).join('\n')).not.toContain('marked');
  });

  it('leave out of a project what is not known', () => {
    const project: ProjectStatus = {
      project_id: 'p',
      counts: { completed: 2, failed: 0 },
      total: 2,
      running: 0,
      queued: 0,
      oldest_open: null,
      completed_per_minute: 0.2,
      duration_p50_ms: null,
      duration_p95_ms: null,
      max_running: 10,
      home: 'local',
    };
    expect(projectLines(project)).toEqual([
      'project   p (home local)',
      'tasks     2: 2 completed',
      'running   0 of at most 10, 0 queued',
      'rate      0.2 completed a minute',
    ]);
  });
});
