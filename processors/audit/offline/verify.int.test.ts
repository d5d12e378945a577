// The verifier for outsiders, run as they run it: a process of its own, with a folder or a file.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bundleLines, checkpointOfLine, eventOfLine, writeBundle } from '../bundle.js';
import type { AuditEvent } from '../leaf.js';
import { proveEvents, refuteProof } from '../prove.js';
import { headersOf, histories, historyOf, KEY, keyOf, PROJECT, signedHistory, type WrittenHistory } from '../testing/histories.js';
import { leafHash } from '../tree.js';
import { verifyHistory } from '../verify.js';

const SCRIPT = fileURLToPath(new URL('verify.mjs', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dats-bundle-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly output: string;
  /** Names of problems, without double ones. */
  readonly kinds: readonly string[];
}
const run = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) => {
      const found = [...stdout.matchAll(/^([a-z_]+): /gm)].map(([, kind]) => kind!).filter((kind) => kind !== 'note' && kind !== 'proven');
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr, kinds: [...new Set(found)].sort() });
    });
  });

const export_ = async ({ events, checkpoints }: WrittenHistory): Promise<void> => {
  const head = { vkey: KEY.vkey, origin: `dats/projects/${PROJECT}`, project: PROJECT };
  await writeBundle(bundleLines({ head, events, checkpoints }), (file, text) => appendFile(join(folder, file), text));
};
const linesOf = async (file: string): Promise<string[]> =>
  (await readFile(join(folder, file), 'utf8')).split('\n').filter((line) => line !== '');
const here = async () => {
  const [events, checkpoints] = [await linesOf('events.jsonl'), await linesOf('checkpoints.jsonl')];
  return verifyHistory({
    project: PROJECT,
    events: events.map(eventOfLine),
    checkpoints: checkpoints.map(checkpointOfLine),
    vkey: KEY.vkey,
  });
};

const inEvents = (edit: (lines: string[]) => string[]) => async () =>
  writeFile(join(folder, 'events.jsonl'), `${edit(await linesOf('events.jsonl')).join('\n')}\n`);
const inCheckpoints = (edit: (lines: string[]) => string[]) => async () =>
  writeFile(join(folder, 'checkpoints.jsonl'), `${edit(await linesOf('checkpoints.jsonl')).join('\n')}\n`);
const at = (i: number, edit: (line: string) => string) => (lines: string[]) => lines.map((line, n) => (n === i ? edit(line) : line));
const without =
  (...gone: number[]) =>
  (lines: string[]) =>
    lines.filter((_, n) => !gone.includes(n));
const swapped = (i: number, j: number) => (lines: string[]) => lines.map((_, n) => lines[n === i ? j : n === j ? i : n]!);

const TAMPERINGS: readonly (readonly [name: string, tamper: () => Promise<void>, kinds: readonly string[]])[] = [
  ['data', inEvents(at(3, (line) => line.replace('"n":3', '"n":4'))), ['changed']],
  ['an attribute', inEvents(at(13, (line) => line.replace('"ada"', '"eve"'))), ['changed']],
  ['bytes that are no JSON', inEvents(at(5, (line) => line.replace(/"raw":"../, '"raw":"AA'))), ['changed']],
  ['an event taken out', inEvents(without(7)), ['missing']],
  ['two taken out', inEvents(without(7, 8)), ['missing']],
  ['an event put in', inEvents((lines) => [...lines.slice(0, 4), lines[4]!.replace('"ada"', '"eve"'), ...lines.slice(4)]), ['inserted']],
  ['an event said twice', inEvents((lines) => [...lines.slice(0, 4), ...lines.slice(3)]), ['inserted']],
  ['two swapped', inEvents(swapped(2, 11)), ['reordered']],
  ['an offset', inEvents(at(6, (line) => line.replace(/"offset":\d+/, '"offset":6'))), ['reordered']],
  ['the tail', inEvents((lines) => lines.slice(0, 15)), ['truncated']],
  [
    'a signature',
    inCheckpoints(at(1, (line) => line.replace(/(— \S+ .{20})./, (all, start: string) => start + (all.endsWith('A') ? 'B' : 'A')))),
    ['bad_signature'],
  ],
  ['a root', inCheckpoints(at(1, (line) => line.replace(/"root":"./, '"root":"/'))), ['bad_root']],
  ['a list of leaves', inCheckpoints(at(2, (line) => line.replace(/("leaves":\[\[\d+,")./, '$1/'))), ['bad_root']],
  ['a checkpoint taken out', inCheckpoints(without(1)), ['inconsistent_checkpoint']],
  ['two checkpoints swapped', inCheckpoints(swapped(0, 1)), ['inconsistent_checkpoint']],
  [
    'a forged checkpoint over a changed event',
    async () => {
      await inEvents(at(12, (line) => line.replace('"ada"', '"eve"')))();
      const theirs = signedHistory((await linesOf('events.jsonl')).map(eventOfLine), [5, 10, 15, 20], keyOf(2)).checkpoints[2]!;
      await inCheckpoints(at(2, () => JSON.stringify(theirs)))();
    },
    ['bad_root', 'bad_signature'],
  ],
  [
    'several at once',
    async () => {
      await inEvents((lines) => swapped(16, 17)(at(2, (line) => line.replace('"ada"', '"eve"'))(without(8)(lines))))();
      await inCheckpoints(without(2))();
    },
    ['bad_root', 'changed', 'inconsistent_checkpoint', 'missing', 'reordered'],
  ],
];

const randomEdit = async (a: number, b: number): Promise<void> => {
  const [events, checkpoints] = [(await linesOf('events.jsonl')).length, (await linesOf('checkpoints.jsonl')).length];
  if (events === 0 || checkpoints === 0) return;
  const edits = [
    inEvents(at(a % events, (line) => line.replace('"ada"', '"eve"'))),
    inEvents(without(a % events)),
    inEvents(swapped(a % events, b % events)),
    inEvents((lines) => lines.slice(0, a % events)),
    inEvents((lines) => [...lines.slice(0, b % events), lines[a % events]!, ...lines.slice(b % events)]),
    inCheckpoints(without(a % checkpoints)),
    inCheckpoints(swapped(a % checkpoints, b % checkpoints)),
    inCheckpoints(at(a % checkpoints, (line) => line.replace(/("leaves":\[\[\d+,")./, '$1/'))),
  ];
  await edits[(a + b) % edits.length]!();
};

describe('a bundle', () => {
  const history = historyOf(23, 5);

  test('that nobody touched is verified with nothing but its files', async () => {
    await export_(history);
    const report = await here();
    expect(report).toMatchObject({ ok: true, covered: 20, uncovered: 3, size: 20 });
    const { code, output, kinds } = await run(folder);
    expect({ code, kinds }).toEqual({ code: 0, kinds: [] });
    expect(output).toContain('the key came with the bundle');
    expect(output).toContain(
      'project demo: 23 events, 20 as they were signed, 3 after the last checkpoint; 4 of 4 checkpoints verified, the newest of 20 leaves',
    );
    expect((await run(folder, '--key', KEY.vkey)).output).not.toContain('the key came with the bundle');
  });

  test.each(TAMPERINGS)('with %s tampered with is told by name, here and there alike', async (_, tamper, kinds) => {
    await export_(historyOf(20, 5));
    await tamper();
    const report = await here();
    expect(report.ok).toBe(false);
    expect([...new Set(report.problems.map(({ kind }) => kind))].sort()).toEqual(kinds);
    const ran = await run(folder);
    expect({ code: ran.code, kinds: ran.kinds }).toEqual({ code: 1, kinds });
    expect(ran.output).toContain(`${report.covered} as they were signed, ${report.uncovered} after the last checkpoint`);
  });

  test('with a line that is none is tampered with; without files, key or checkpoints it is unusable', async () => {
    await export_(history);
    await inEvents(at(3, (line) => line.slice(1)))();
    expect(await run(folder)).toMatchObject({ code: 1, kinds: ['missing', 'unreadable'] });
    expect(await run(folder, '--key', keyOf(2).vkey)).toMatchObject({ code: 1, kinds: ['bad_signature', 'unreadable'] });
    await writeFile(join(folder, 'events.jsonl'), '');
    await writeFile(join(folder, 'checkpoints.jsonl'), '');
    expect((await run(folder)).code).toBe(2);
    await rm(join(folder, 'checkpoints.jsonl'));
    expect((await run(folder)).code).toBe(2);
    expect((await run(folder, '--key', 'nonsense')).code).toBe(2);
    expect((await run(join(folder, 'nowhere'))).code).toBe(2);
    expect((await run()).code).toBe(2);
  });

  test('of strange events is verified like any other', async () => {
    const strange: AuditEvent[] = [
      { offset: 0, headers: { projectid: PROJECT }, data: null },
      {
        offset: 1,
        headers: headersOf(1, { datadigest: 'x', _rawdigest: 'y' }),
        data: [-0, 1e21, 1e-7, 0.1, '\u2028', '😀', { '10': 1, '9': 2, é: 3 }],
      },
      { offset: 2, headers: JSON.parse('{"__proto__":"p","a":"b"}'), data: JSON.parse('{"__proto__":{"x":1}}') },
      { offset: 3, headers: {}, raw: '' },
    ];
    await export_(signedHistory(strange, [4]));
    expect(await here()).toMatchObject({ ok: true, covered: 4 });
    expect(await run(folder)).toMatchObject({ code: 0, kinds: [] });
  });
});

test('random edits are judged alike, here and there', async () => {
  const edits = fc.record({ history: histories, picks: fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 3 }) });
  await fc.assert(
    fc.asyncProperty(edits, async ({ history, picks }) => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      await export_(history);
      for (const [a, b] of picks) await randomEdit(a, b);
      const report = await here();
      const ran = await run(folder);
      expect(ran.kinds).toEqual([...new Set(report.problems.map(({ kind }) => kind))].sort());
      expect(ran.code).toBe(report.ok ? (report.size > 0 ? 0 : 2) : 1);
      expect(ran.output).toContain(`${report.covered} as they were signed, ${report.uncovered} after the last checkpoint`);
    }),
    { numRuns: 60 },
  );
}, 120_000);

describe('a proof', () => {
  const file = 'print("made")\n';
  const sha256 = createHash('sha256').update(file).digest('hex');
  const made: AuditEvent = {
    offset: 40,
    headers: headersOf(40, { type: 'dats.task.output.created' }),
    data: { task_id: 't', attempt: 1, artifacts: [{ artifact_id: 'art-1', path: 'made.py', sha256 }] },
  };
  const history = signedHistory([...historyOf(20, 20).events, made], [10, 21]);
  const prove = (events: readonly AuditEvent[], artifactId?: string) =>
    proveEvents({ project: PROJECT, events, checkpoints: history.checkpoints, vkey: KEY.vkey, artifactId });
  const write = async (proof: unknown): Promise<string> => {
    const path = join(folder, 'proof.json');
    await writeFile(path, JSON.stringify(proof));
    return path;
  };

  test('of every event holds, here and there, with the key alone', async () => {
    const all = await prove(history.events);
    expect(refuteProof(all, KEY.vkey)).toBeUndefined();
    expect((await run(await write(all), '--key', KEY.vkey)).code).toBe(0);
    for (const event of history.events) expect(refuteProof(await prove([event]), KEY.vkey)).toBeUndefined();
  });

  test('of an artifact says which file it was', async () => {
    const path = await write(await prove([made], 'art-1'));
    const artifact = join(folder, 'made.py');
    await writeFile(artifact, file);
    const good = await run(path, '--key', KEY.vkey, '--file', artifact);
    expect(good).toMatchObject({ code: 0, kinds: [] });
    expect(good.output).toContain(`artifact art-1 is made.py, sha256 ${sha256}`);
    await writeFile(artifact, `${file} `);
    expect(await run(path, '--key', KEY.vkey, '--file', artifact)).toMatchObject({ code: 1, kinds: ['changed'] });
  });

  test('that was changed anywhere does not hold', async () => {
    const proof = await prove([made, history.events[3]!], 'art-1');
    const [first, second] = proof.events as [(typeof proof.events)[0], (typeof proof.events)[0]];
    const changed = [
      { ...proof, events: [{ ...first, headers: { ...first.headers, actor: 'eve' } }, second] },
      { ...proof, events: [{ ...first, data: { n: 1 } }, second] },
      { ...proof, events: [{ ...first, leaf: first.leaf + 1 }, second] },
      { ...proof, events: [first, { ...second, proof: second.proof.slice(1) }] },
      { ...proof, events: [first, { ...second, proof: [...second.proof, leafHash('').toString('base64')] }] },
      { ...proof, project_id: 'other' },
      { ...proof, artifact_id: 'art-2' },
      { ...proof, checkpoint: history.checkpoints[0]!.note },
      { ...proof, checkpoint: proof.checkpoint.replace('21', '22') },
    ];
    for (const one of changed) {
      expect(refuteProof(one, KEY.vkey)).toBeDefined();
      expect((await run(await write(one), '--key', KEY.vkey)).code).toBe(1);
    }
    expect(refuteProof(proof, keyOf(2).vkey)).toBeDefined();
    expect((await run(await write(proof), '--key', keyOf(2).vkey)).code).toBe(1);
    expect((await run(await write(proof))).code).toBe(2);
    expect((await run(await write({ format: 'other' }), '--key', KEY.vkey)).code).toBe(2);
  });
});

test('the verifier imports nothing but Node.js', async () => {
  const source = await readFile(SCRIPT, 'utf8');
  const imported = [...source.matchAll(/^import .* from '([^']+)';$/gm)].map(([, name]) => name);
  expect(imported).toEqual(['node:crypto', 'node:fs', 'node:path']);
  expect(source).not.toMatch(/\bimport\(|\brequire\(/);
});
