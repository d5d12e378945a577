import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AuditEvent, bundleLines, proveEvents, verifyHistory } from '../../processors/audit/index.js';
import { headersOf, historyOf, KEY, keyOf, PROJECT, signedHistory, type WrittenHistory } from '../../processors/audit/testing/histories.js';
import { runCli } from '../program.js';
import { answerJson, type Handler, keepIo } from '../testing.js';
import { openRunDats } from './testing/run-dats.js';

const run = openRunDats();
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-audit-'));
});
afterEach(async () => {
  await run.close();
  rmSync(dir, { recursive: true, force: true });
});
const dats = (...argv: string[]) => run(['audit', ...argv], { cwd: dir });
/** With no server, and no folder to open. */
const alone = async (...argv: string[]) => {
  const io = keepIo({ cwd: dir });
  const loadStartNode = (): Promise<never> => Promise.reject(new Error('no node is started for files'));
  return { code: await runCli(['audit', ...argv], io, { loadStartNode }), ...io.printed };
};
const asked = () => run.requests.map(({ url }) => url.replace('/api/v1/audit/', ''));

const HISTORY = historyOf(20, 5);
const changed = ({ events, checkpoints }: WrittenHistory, at = 7): WrittenHistory => ({
  checkpoints,
  events: events.map((event, n) => (n === at ? { ...event, headers: { ...event.headers, actor: 'eve' } } : event)),
});
const problem = (status: number, code: string, detail = 'why') => ({
  type: `/problems/${code}`,
  title: code,
  status,
  detail,
  correlation_id: 'c',
  retryable: false,
});
/** Answers as the gateway does about a history, and signs with `KEY`. */
const keeper =
  (history: WrittenHistory, endBundleAt = Infinity): Handler =>
  async ({ url }, response) => {
    const { pathname, searchParams } = new URL(url!, 'http://x');
    const project = searchParams.get('project_id') ?? PROJECT;
    if (pathname.endsWith('/verify'))
      return answerJson(response, 200, await verifyHistory({ project: PROJECT, ...history, vkey: KEY.vkey }));
    const none = { events: [], checkpoints: [] };
    let lines = 0;
    for await (const line of bundleLines({
      head: { vkey: KEY.vkey, origin: `dats/projects/${project}`, project },
      ...(project === PROJECT ? history : none),
    }))
      if (++lines <= endBundleAt) response.write(line);
    response.end();
  };

describe('dats audit verify', () => {
  it('asks the server, and says with which key it is as it was signed', async () => {
    await run.serve(keeper(HISTORY));
    const { code, out, err } = await dats('verify', PROJECT);
    expect([code, err, asked()]).toEqual([0, '', [`verify?project_id=${PROJECT}`]]);
    expect(out).toMatch(
      /^20 events of project demo: all as they were signed \(4 checkpoints, newest covers 20, root \S+\)\nkey dats\/projects\+\S+ \(/,
    );
    expect(out).toContain(KEY.vkey);
  });

  it('names what is wrong and of which task it is, and ends with 1', async () => {
    await run.serve(keeper(changed(HISTORY)));
    const { code, out } = await dats('verify', PROJECT);
    const { offset } = HISTORY.events[7]!;
    expect(code).toBe(1);
    expect(out).toMatch(
      new RegExp(
        `^CHANGED +p0-${offset}: dats\\.task\\.completed \\S+ at offset ${offset} is not .* \\(task task-7\\)\n20 events .*: 19 as `,
      ),
    );
    const { out: json } = await dats('verify', PROJECT, '--json');
    expect(JSON.parse(json)).toMatchObject({
      ok: false,
      problems: [{ kind: 'changed', offset, position: `p0-${offset}`, task: 'task-7' }],
      unreadable: [],
      key_from: expect.any(String),
    });
  });

  it('says what is wrong also where the events cannot be had', async () => {
    await run.serve(keeper(changed(HISTORY), 3));
    const { code, out, err } = await dats('verify', PROJECT);
    expect([code, out, err]).toEqual([1, expect.stringMatching(/^CHANGED +dats\.task/), expect.stringContaining('it was cut off')]);
  });

  it('with a key of the user’s looks at the events itself, whatever the server says of them', async () => {
    const lies = keeper(changed(HISTORY));
    await run.serve((request, response, body) =>
      request.url!.includes('/verify') ? answerJson(response, 200, { ok: true }) : lies(request, response, body),
    );
    const own = await dats('verify', PROJECT, '--key', KEY.vkey);
    expect([own.code, own.out]).toEqual([1, expect.stringContaining('(given with --key)')]);
    const other = await dats('verify', PROJECT, '--key', keyOf(2).vkey);
    expect([other.code, other.out]).toEqual([1, expect.stringMatching(/^BAD SIGNATURE /)]);
    expect(asked().some((url) => url.startsWith('verify'))).toBe(false);
  });

  it('where nothing can be said ends with 2: not one of tampering', async () => {
    await run.serve(keeper(signedHistory(HISTORY.events, [])));
    expect(await dats('verify', PROJECT)).toMatchObject({ code: 2, out: expect.stringContaining('nothing is proven') });
    await run.close();
    await run.serve((_request, response) => answerJson(response, 404, problem(404, 'project-not-found')));
    expect(await dats('verify', 'nobody')).toMatchObject({ code: 2, out: '', err: expect.stringContaining('project-not-found') });
    for (const argv of [
      ['verify'],
      ['verify', 'p', '--key', 'none'],
      ['verify', '--bundle', 'nowhere'],
      ['verify', 'p', '--data-dir', 'nowhere'],
    ])
      expect([argv, (await dats(...argv)).code]).toEqual([argv, 2]);
  });
});

describe('dats audit export', () => {
  it('makes a folder that is verified with its files alone', async () => {
    await run.serve(keeper(HISTORY));
    const exported = await dats('export', PROJECT, '--out', 'away');
    expect([exported.code, exported.out]).toEqual([0, '20 events and 4 checkpoints of project demo are in away\n']);
    expect(exported.err).toContain(`node away/verify.mjs away --key '${KEY.vkey}'`);
    expect(readdirSync(join(dir, 'away'))).toContain('verify.mjs');
    for (const argv of [[], [PROJECT], ['--key', KEY.vkey]]) {
      const { code, out } = await alone('verify', ...argv, '--bundle', 'away');
      expect([code, out]).toEqual([0, expect.stringMatching(/^20 events of project demo: all as they were signed/)]);
    }
    expect((await alone('verify', 'other', '--bundle', 'away')).code).toBe(1);
    expect((await dats('verify', '--bundle', 'away')).err).toContain('a folder and --url are given');
    expect((await dats('export', PROJECT, '--out', 'away')).code).toBe(2);
  });

  it('of a stream that is cut off says so, and leaves no folder', async () => {
    await run.serve(keeper(HISTORY, 12));
    const { code, err } = await dats('export', PROJECT, '--out', 'away');
    expect([code, err]).toEqual([1, expect.stringContaining('it was cut off; nothing was left in away, try again')]);
    expect(existsSync(join(dir, 'away'))).toBe(false);
    await run.close();
    await run.serve((_request, response) => {
      response.writeHead(200);
      response.write('{"vkey":"k","origin":"o","project":"p"}\n', () => response.destroy());
    });
    expect(await dats('export', PROJECT, '--out', 'away')).toMatchObject({
      code: 1,
      err: expect.stringContaining('nothing was left in away'),
    });
    expect(existsSync(join(dir, 'away'))).toBe(false);
  });

  it('of a project that there is not is bad usage', async () => {
    await run.serve(keeper(HISTORY));
    expect(await dats('export', 'nobody', '--out', 'away')).toMatchObject({ code: 2, err: expect.stringContaining('nobody has no event') });
    expect(existsSync(join(dir, 'away'))).toBe(false);
  });
});

describe('dats audit key and checkpoints', () => {
  it('print the key, and the newest checkpoints', async () => {
    await run.serve(keeper(HISTORY));
    expect(await dats('key')).toMatchObject({ code: 0, out: `${KEY.vkey}\n` });
    expect(JSON.parse((await dats('key', '--json')).out)).toEqual({ vkey: KEY.vkey });
    await run.close();
    const { size, root, note } = HISTORY.checkpoints[0]!;
    const checkpoints = [{ size, root, note, time: '2026-11-26T09:00:00.000Z', from: 0, to: 9 }];
    await run.serve((_request, response) => answerJson(response, 200, { vkey: KEY.vkey, origin: 'o', checkpoints }));
    const { code, out, err } = await dats('checkpoints', PROJECT, '--limit', '1');
    expect([code, out.split('\n')[1], err]).toEqual([
      0,
      `5     2026-11-26T09:00:00.000Z  ${root}  offset 0 to 9`,
      '(the newest 1; more with --limit)\n',
    ]);
    expect(asked()).toEqual([`checkpoints?project_id=${PROJECT}&limit=1`]);
  });
});

describe('dats audit prove', () => {
  const proofOf = (events: readonly AuditEvent[]) => proveEvents({ project: PROJECT, ...HISTORY, events, vkey: KEY.vkey });

  it('takes an id for that of an event, then of an artifact; and a place with its project', async () => {
    const proof = await proofOf([HISTORY.events[3]!]);
    await run.serve(({ url }, response) =>
      url!.includes('event_id=') ? answerJson(response, 404, problem(404, 'event-not-found')) : answerJson(response, 200, proof),
    );
    const { code, out } = await dats('prove', 'a1', '--project', PROJECT);
    expect([code, JSON.parse(out)]).toEqual([0, proof]);
    expect((await dats('prove', 'p0-17', '--project', PROJECT, '--out', 'proof.json')).out).toBe(
      'written proof.json: proves 1 event of project demo\n',
    );
    expect(asked()).toEqual([
      'proof?event_id=a1&project_id=demo',
      'proof?artifact_id=a1&project_id=demo',
      'proof?offset=17&project_id=demo',
    ]);
    expect(JSON.parse(readFileSync(join(dir, 'proof.json'), 'utf8'))).toEqual(proof);
    expect((await dats('prove', 'p0-17')).code).toBe(2);
  });

  it('ends with 1 where history was tampered with, with 2 where nothing can be proven yet', async () => {
    for (const [code, exit] of [
      ['history-tampered', 1],
      ['proof-pending', 2],
      ['event-not-found', 2],
    ] as const) {
      await run.serve((_request, response) => answerJson(response, 409, problem(409, code)));
      expect([code, (await dats('prove', 'e1')).code]).toEqual([code, exit]);
      await run.close();
    }
  });
});

describe('dats audit check', () => {
  const write = (name: string, content: unknown): void =>
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
  const proof = () => proveEvents({ project: PROJECT, ...HISTORY, events: [HISTORY.events[3]!], vkey: KEY.vkey });

  it('asks nobody where the key is given, as it is or in a file', async () => {
    write('proof.json', await proof());
    write('dats.vkey', `${KEY.vkey}\n`);
    for (const key of [KEY.vkey, 'dats.vkey']) {
      const { code, out, err } = await dats('check', 'proof.json', '--key', key);
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(
        /^proven {2}dats\.task\.created \S+ at offset \d+: leaf 3 of 20, signed as dats\/projects\/demo\nkey \S+ \(given with --key\)\n$/,
      );
    }
  });

  it('asks the keeper for the key where none is given, and says so', async () => {
    await run.serve(keeper(HISTORY));
    write('proof.json', await proof());
    expect(await dats('check', 'proof.json')).toMatchObject({ code: 0, out: expect.stringContaining('the keeper’s own') });
  });

  it('ends with 1 for another key or another event, with 2 for what is no proof', async () => {
    const whole = await proof();
    const [event] = whole.events;
    write('proof.json', whole);
    write('event.json', { ...whole, events: [{ ...event!, headers: { ...event!.headers, actor: 'eve' } }] });
    write('other.json', { ...whole, format: 'x' });
    write('text.json', 'no JSON');
    const codeOf = async (file: string, key = KEY.vkey) => (await dats('check', file, '--key', key)).code;
    expect([await codeOf('proof.json', keyOf(2).vkey), await codeOf('event.json')]).toEqual([1, 1]);
    expect([await codeOf('other.json'), await codeOf('text.json'), await codeOf('nowhere.json')]).toEqual([2, 2, 2]);
    expect(JSON.parse((await dats('check', 'event.json', '--key', KEY.vkey, '--json')).out)).toMatchObject({
      ok: false,
      why: expect.any(String),
    });
    expect((await dats('check', 'proof.json', '--key', KEY.vkey, '--artifact', 'proof.json')).code).toBe(2);
  });

  it('compares a file with the artifact that is proven', async () => {
    const bytes = 'print(1)\n';
    const made = { artifact_id: 'a1', path: 'a.py', sha256: createHash('sha256').update(bytes).digest('hex') };
    const event = {
      offset: 3,
      headers: headersOf(0, { type: 'dats.task.output.created' }),
      data: { task_id: 't', attempt: 1, artifacts: [null, made] },
    };
    const history = signedHistory([event], [1]);
    write('proof.json', await proveEvents({ project: PROJECT, ...history, events: [event], vkey: KEY.vkey, artifactId: 'a1' }));
    write('a.py', bytes);
    write('b.py', `${bytes}#`);
    const same = await dats('check', 'proof.json', '--key', KEY.vkey, '--artifact', 'a.py');
    expect([same.code, same.out.split('\n').slice(1, 3)]).toEqual([0, [`artifact a.py  sha256:${made.sha256}`, 'a.py is that artifact']]);
    const other = await dats('check', 'proof.json', '--key', KEY.vkey, '--artifact', 'b.py');
    expect([other.code, other.out]).toEqual([1, expect.stringContaining('NOT PROVEN  b.py has other bytes')]);
    expect((await dats('check', 'proof.json', '--key', KEY.vkey, '--artifact', 'nowhere')).code).toBe(2);
  });
});
