// The whole of it, as a user does it with no server running: tasks, checkpoints, a folder to take away, and what somebody does to the bytes behind our back.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfiguration, startNode } from '../../nodes/index.js';
import { keyOf } from '../../processors/audit/testing/histories.js';
import { type AuditCheckpoints, type AuditReport, LIFECYCLE } from '../../schemas/index.js';
import { createClient } from '../client/index.js';
import { startNodeHere } from '../node.js';
import { runCli } from '../program.js';
import { keepIo, openTestServer } from '../testing.js';

const PROJECT = 'website';
const TASKS = 3;
const TITLE = 'Write settings';
/** As it stands in the event. */
const written = (n: number): string => `${TITLE}\\nnumber ${n}`;
const SCRIPT = {
  version: 1,
  rules: [{ match: { task: TITLE }, answers: [{ files: [{ path: 'settings.json', language: 'json', content: '{"a": 1}' }] }] }],
};
let dir: string;

const dats = async (...argv: string[]): Promise<{ code: number; out: string; err: string }> => {
  const io = keepIo({ cwd: dir, now: Date.now });
  return { code: await runCli(argv, io, { loadStartNode: async () => startNodeHere }), ...io.printed };
};
const document = async <T>(...argv: string[]): Promise<{ code: number; found: T }> => {
  const { code, out, err } = await dats(...argv, '--json');
  expect(out, err).not.toBe('');
  return { code, found: JSON.parse(out) as T };
};
type Found = AuditReport & { readonly unreadable: readonly string[] };
const script = (...argv: string[]): Promise<{ code: number; output: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, argv, { cwd: dir }, (error, out, err) => resolve({ code: Number(error?.code ?? 0), output: out + err }));
  });

/** Work is done, and a checkpoint covers all of it. */
const work = async (): Promise<void> => {
  const { config, version, baseDir } = loadConfiguration({ env: {}, cwd: dir });
  const node = await startNode({
    config: { ...config, gateway: { ...config.gateway, port: 0 } },
    configVersion: version,
    baseDir,
    env: {},
  });
  try {
    const client = createClient({ baseUrl: node.url! });
    for (let n = 0; n < TASKS; n++) {
      const { task_id } = await client.submit({
        project_id: PROJECT,
        description: `${TITLE}\nnumber ${n}`,
        options: { qa_profile: 'syntax' },
      });
      await client.wait(task_id);
    }
    for (;;) {
      const { events, covered } = await client.auditReport(PROJECT);
      if (covered === events) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    await node.stop();
  }
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-audit-'));
  const gone = await openTestServer(() => {});
  await gone.close();
  writeFileSync(join(dir, 'script.json'), JSON.stringify(SCRIPT));
  const servers = {
    version: 1,
    gateway: { port: Number(new URL(gone.url).port) },
    analytics: { kind: 'none' },
    audit: { every_s: 0.05 },
    models: [{ id: 'recorded', runner: 'scripted', script: 'script.json', tiers: ['small', 'medium', 'large'] }],
  };
  writeFileSync(join(dir, 'servers.yaml'), JSON.stringify(servers));
  await work();
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a history that nobody touched is as it was signed', async () => {
  const { code, out, err } = await dats('audit', 'verify', PROJECT);
  expect([code, err]).toEqual([0, expect.stringMatching(/^no server answers at http:\S+: opened \.\/\.dats, last written \d+ s ago\n$/)]);
  expect(out).toMatch(
    /^\d+ events of project website: all as they were signed \(\d+ checkpoints?, newest covers \d+, root \S{44}\)\nkey dats\/projects\+\S+ \(the keeper’s own; .*\)\n$/,
  );
  const { found } = await document<AuditCheckpoints>('audit', 'checkpoints', PROJECT, '--limit', '1');
  const { code: again, found: report } = await document<Found>('audit', 'verify', PROJECT, '--key', found.vkey);
  expect([again, report.size, report.root]).toEqual([0, found.checkpoints[0]!.size, found.checkpoints[0]!.root]);
  expect((await dats('audit', 'key')).out).toBe(`${found.vkey}\n`);
  expect((await dats('audit', 'verify', 'nobody')).code).toBe(2);
});

test('a folder is verified without this product, and a byte of it that was changed is named', async () => {
  const exported = await dats('audit', 'export', PROJECT, '--out', 'away/history');
  expect(exported.code, exported.err).toBe(0);
  const folder = join(dir, 'away/history');
  expect(readdirSync(folder).sort()).toEqual(['README.txt', 'checkpoints.jsonl', 'events.jsonl', 'key.vkey', 'verify.mjs']);
  const key = readFileSync(join(folder, 'key.vkey'), 'utf8').trim();
  expect(await script('away/history/verify.mjs', 'away/history', '--key', key)).toMatchObject({
    code: 0,
    output: expect.stringMatching(/ok\n$/),
  });
  expect((await dats('audit', 'verify', '--bundle', 'away/history', '--key', 'away/history/key.vkey')).code).toBe(0);
  expect((await dats('audit', 'export', PROJECT, '--out', 'away/history')).code).toBe(2);

  const file = join(folder, 'events.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  const victim = lines.findIndex((line) => line.includes(written(1)));
  const { headers, offset } = JSON.parse(lines[victim]!) as { headers: Record<string, string>; offset: number };
  writeFileSync(file, lines.map((line, n) => (n === victim ? line.replace('Write settings', 'Write settinks') : line)).join('\n'));
  const seen = await dats('audit', 'verify', PROJECT, '--bundle', 'away/history');
  expect(seen.code).toBe(1);
  expect(seen.out).toMatch(
    new RegExp(
      `^CHANGED +p\\d+-${offset}: dats\\.task\\.created ${headers.id} at offset ${offset} is not what was signed .* \\(task ${headers.subject}\\)\n`,
    ),
  );
  const outside = await script('away/history/verify.mjs', 'away/history', '--key', key);
  expect([outside.code, outside.output]).toEqual([1, expect.stringContaining(`changed: dats.task.created ${headers.id}`)]);
});

test('what is proven of an event holds with the key alone, here and outside', async () => {
  const { out: key } = await dats('audit', 'key');
  writeFileSync(join(dir, 'dats.vkey'), key);
  const { offset, headers } = JSON.parse(readFileSync(join(dir, 'away/history/events.jsonl'), 'utf8').split('\n')[0]!) as {
    offset: number;
    headers: Record<string, string>;
  };
  for (const what of [headers.id!, `p0-${offset}`]) {
    rmSync(join(dir, 'proof.json'), { force: true });
    expect((await dats('audit', 'prove', what, '--project', PROJECT, '--out', 'proof.json')).code).toBe(0);
    const held = await dats('audit', 'check', 'proof.json', '--key', 'dats.vkey');
    expect([held.code, held.err, held.out]).toEqual([
      0,
      '',
      expect.stringMatching(new RegExp(`^proven {2}${headers.type} ${headers.id} `)),
    ]);
    expect((await script('away/history/verify.mjs', 'proof.json', '--key', 'dats.vkey')).code).toBe(0);
  }
  const lines = readFileSync(join(dir, 'away/history/events.jsonl'), 'utf8').trimEnd().split('\n');
  const [made] = lines.map((line) => JSON.parse(line)).filter((event) => event.headers.type === 'dats.task.output.created');
  const { artifact_id, path, sha256 } = made.data.artifacts[0];
  rmSync(join(dir, 'proof.json'), { force: true });
  expect((await dats('audit', 'prove', artifact_id, '--project', PROJECT, '--out', 'proof.json')).code).toBe(0);
  const artifact = await dats('audit', 'check', 'proof.json', '--key', 'dats.vkey');
  expect([artifact.code, artifact.out]).toEqual([0, expect.stringContaining(`artifact ${path}  sha256:${sha256}`)]);
  expect((await script('away/history/verify.mjs', 'proof.json', '--key', 'dats.vkey')).code).toBe(0);
  writeFileSync(join(dir, 'proof.json'), readFileSync(join(dir, 'proof.json'), 'utf8').replace('"website"', '"website2"'));
  expect((await dats('audit', 'check', 'proof.json', '--key', 'dats.vkey')).code).toBe(1);
});

/** A copy of the data folder in which one letter of a task's description is another one. */
const changedCopy = (name: string, { mendChecksum }: { readonly mendChecksum: boolean }): void => {
  cpSync(join(dir, '.dats'), join(dir, name), { recursive: true });
  const file = join(dir, name, 'log', 'data.mdb');
  const bytes = readFileSync(file);
  const text = Buffer.from(written(1));
  let changed = 0;
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    const batch = batchAround(bytes, at);
    if (batch === undefined) continue;
    bytes[at + text.length - 1] = '7'.charCodeAt(0);
    if (mendChecksum) bytes.writeUInt32LE(crc32(bytes.subarray(batch.body, batch.end)), batch.body - 4);
    changed++;
  }
  expect(changed).toBeGreaterThan(0);
  writeFileSync(file, bytes);
};

/** The batch of the log in which a place of the file lies (streams/lmdb/frame.ts): what its own checksum covers. */
const batchAround = (bytes: Buffer, at: number): { readonly body: number; readonly end: number } | undefined => {
  for (let head = at - 12; head >= Math.max(0, at - 64 * 1024); head--) {
    if (bytes.readUInt32LE(head) !== 1) continue;
    const body = head + 12;
    let end = body;
    for (let count = bytes.readUInt32LE(head + 4); count > 0 && end + 4 < bytes.length; count--) end += 4 + bytes.readUInt32LE(end);
    if (end > at && end <= bytes.length && crc32(bytes.subarray(body, end)) === bytes.readUInt32LE(head + 8)) return { body, end };
  }
  return undefined;
};

test('a copy of the data folder in which an event was changed, checksum and all, is told from what was signed', async () => {
  changedCopy('copy', { mendChecksum: true });
  const { code, found } = await document<Found>('audit', 'verify', PROJECT, '--data-dir', 'copy');
  expect([code, found.ok, found.unreadable, found.problems]).toEqual([
    1,
    false,
    [],
    [expect.objectContaining({ kind: 'changed', type: 'dats.task.created' })],
  ]);
  const said = await dats('audit', 'verify', PROJECT, '--data-dir', 'copy', '--key', 'dats.vkey');
  expect([said.code, said.err]).toEqual([1, expect.stringMatching(/^opened \.\/copy, last written /)]);
  expect(said.out).toMatch(new RegExp(`^CHANGED +p\\d+-\\d+: dats\\.task\\.created ${found.problems[0]!.event_id} at offset .*\\(task `));
  expect(said.out).toContain('(given with --key)');
  expect((await dats('audit', 'verify', PROJECT)).code).toBe(0);
});

test('a copy whose bytes do not fit their checksum any more is read around the damage', async () => {
  changedCopy('damaged', { mendChecksum: false });
  const { code, found } = await document<Found>('audit', 'verify', PROJECT, '--data-dir', 'damaged');
  expect(code).toBe(1);
  expect(found.unreadable[0]).toMatch(
    new RegExp(`^${LIFECYCLE} p\\d+-\\d+ cannot be read: the batch at offset \\d+ .* does not match its checksum$`),
  );
  expect(found.problems.map(({ kind }) => kind)).toEqual(found.unreadable.map(() => 'missing'));
  expect(found.covered).toBe(found.events);
  expect(found.covered).toBeGreaterThan(0);
});

test('another key in a copy, or none, does not make it right', async () => {
  cpSync(join(dir, '.dats'), join(dir, 'keyless'), { recursive: true });
  rmSync(join(dir, 'keyless', 'keys'), { recursive: true });
  const without = await dats('audit', 'verify', PROJECT, '--data-dir', 'keyless');
  expect([without.code, without.err]).toEqual([2, expect.stringContaining('give the one that you trust with --key')]);
  expect((await dats('audit', 'verify', PROJECT, '--data-dir', 'keyless', '--key', 'dats.vkey')).code).toBe(0);
  expect(readdirSync(join(dir, 'keyless'))).not.toContain('keys');

  const { code, found } = await document<Found>('audit', 'verify', PROJECT, '--data-dir', 'keyless', '--key', keyOf(2).vkey);
  expect([code, new Set(found.problems.map(({ kind }) => kind)).has('bad_signature')]).toEqual([1, true]);
});
