import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSettings, type Settings } from '../../processors/settings/index.js';
import { CONFIG, type ConfigValue, decode, type Problem } from '../../schemas/index.js';
import { createApp, type GatewayApp } from '../app.js';
import { openWorld, recordsOf, type World } from '../testing/world.js';

let world: World;
let other: { readonly app: GatewayApp; readonly settings: Settings };
beforeEach(async () => {
  world = await openWorld();
  // A second gateway on the same log.
  const settings = openSettings({ log: world.log, base: world.deps.settings.base, onProblem: () => undefined });
  other = { settings, app: createApp({ ...world.deps, settings }) };
});
afterEach(async () => {
  other.app.close();
  await other.settings.close();
  await world.close();
});

const BASE = '/api/v1/config';
interface Asked<T> {
  readonly status: number;
  readonly etag: string | null;
  readonly body: T;
}
const ask = async <T = ConfigValue>(path: string, init: RequestInit = {}, app: GatewayApp = world.app): Promise<Asked<T>> => {
  const response = await app.request(`${BASE}${path}`, init);
  return { status: response.status, etag: response.headers.get('etag'), body: (await response.json()) as T };
};
const put = (key: string, value: unknown, ifMatch?: string, query = '', app?: GatewayApp) =>
  ask<ConfigValue & { changed: boolean; warnings: string[] } & Problem>(
    `/${key}${query}`,
    {
      method: 'PUT',
      body: JSON.stringify(value),
      headers: { 'content-type': 'application/json', ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) },
    },
    app,
  );
const FIRST = { hedging: true, openai_endpoint: true };
const OFF = { hedging: false, openai_endpoint: true };
const changesOnLog = async () => {
  const all = await Promise.all(
    Array.from({ length: world.log.partitions(CONFIG) }, (_, partition) => recordsOf(world.log, CONFIG, partition)),
  );
  return all.flat().map(({ headers, value }) => decode(headers, value));
};

describe('GET /config', () => {
  it('lists every key with where its value comes from, and the version of the whole', async () => {
    await put('flags', OFF, '"0"', '?by=alice&reason=too%20dear');
    const { etag, body } = await ask<{ config_version: string; changes: number; keys: Record<string, unknown>[] }>('');
    expect([etag, body.config_version, body.changes]).toEqual(['"c0ffee+1"', 'c0ffee+1', 1]);
    expect(body.keys.map(({ key, version, source, by }) => [key, version, source, by])).toEqual([
      ['routing', 0, 'servers.yaml', null],
      ['access', 0, 'servers.yaml', null],
      ['quotas', 0, 'servers.yaml', null],
      ['flags', 1, 'registry', 'alice'],
      ['scheduling', 0, 'servers.yaml', null],
      ['prices', 0, 'servers.yaml', null],
      ['prompts.generate', 0, 'built-in', null],
      ['prompts.analyse', 0, 'built-in', null],
      ['prompts.decompose', 0, 'built-in', null],
    ]);
  });

  it('gives a setting with its version as ETag, and earlier versions of it', async () => {
    await put('flags', OFF, '"0"', '?reason=why');
    expect(await ask('/flags')).toMatchObject({ status: 200, etag: '"1"', body: { version: 1, holds: 1, value: OFF, reason: 'why' } });
    expect(await ask('/flags?version=0')).toMatchObject({
      etag: '"0"',
      body: { version: 0, source: 'servers.yaml', value: FIRST, holds: 1 },
    });
    expect((await ask('/prompts.generate')).body.value.system).toContain('You are a careful software engineer');
  });

  it('says what is not there', async () => {
    expect(await ask('/teleport')).toMatchObject({ status: 404, body: { type: '/problems/config-key-not-found' } });
    expect(await ask('/flags?version=9')).toMatchObject({ status: 404, body: { type: '/problems/config-version-not-found' } });
  });
});

describe('PUT /config/{key}', () => {
  it('makes a version that holds at once, with its defaults filled in', async () => {
    const { status, etag, body } = await put('scheduling', { max_running_per_project: 3 }, '"0"');
    expect([status, etag, body.changed, body.config_version]).toEqual([200, '"1"', true, 'c0ffee+1']);
    expect(body.value).toMatchObject({ max_running_per_project: 3, timeout_s: 600 });
    expect(world.deps.settings.current().scheduling.max_running_per_project).toBe(3);
    const [event] = await changesOnLog();
    expect(event).toMatchObject({ type: 'dats.config.changed', subject: 'scheduling', actor: 'anonymous', configversion: 'c0ffee' });
  });

  it('stamps what is submitted from then on with the new version', async () => {
    await put('flags', OFF, '*');
    await world.submit({ description: 'x', project_id: 'p' });
    expect((await world.events('p')).map(({ configversion }) => configversion)).toEqual(['c0ffee+1']);
  });

  it('needs If-Match, and refuses one that is not current or none at all', async () => {
    expect(await put('flags', OFF)).toMatchObject({ status: 428, body: { type: '/problems/precondition-required' } });
    expect(await put('flags', OFF, 'three')).toMatchObject({ status: 400, body: { type: '/problems/invalid-parameter' } });
    await put('flags', OFF, '"0"');
    for (const stale of ['"0"', 'W/"1"', '"x"']) {
      const { status, body } = await put('flags', FIRST, stale);
      expect([stale, status, body.type]).toEqual([stale, 412, '/problems/precondition-failed']);
      expect(body.detail).toContain('If-Match: "1"');
    }
    expect(await put('flags', FIRST, '"0", "1"')).toMatchObject({ status: 200, body: { version: 2 } });
  });

  it('that names models which are not there is taken, and says so', async () => {
    const strict = { rules: [{ name: 'r', to: ['clout'], strict: true }] };
    const taken = await put('routing', strict, '"0"');
    expect(taken).toMatchObject({ status: 200, body: { changed: true } });
    expect(taken.body.warnings).toEqual([expect.stringMatching(/^routing\.rules\.0\.to: no model may answer: "clout" matches no model/)]);
    expect((await put('access', { block: ['gone', 'scripted'] }, '"0"')).body.warnings).toEqual([
      'access.block.0: "gone" matches no model of servers.yaml',
    ]);
    expect((await put('flags', OFF, '"0"')).body.warnings).toEqual([]);
    expect((await put('routing', null, '"1"')).body.warnings).toEqual([]);
  });

  it('answers what is so already as done, without a new version, also where the answer was lost', async () => {
    await put('flags', OFF, '"0"');
    expect(await put('flags', OFF, '"0"')).toMatchObject({ status: 200, etag: '"1"', body: { changed: false, version: 1 } });
    expect(await put('flags', { hedging: false }, '*')).toMatchObject({ body: { changed: false, version: 1 } });
    expect(await changesOnLog()).toHaveLength(1);
  });

  it('names each place of a value that does not fit', async () => {
    const bad = await put('scheduling', { max_running_per_project: 0, lanes: 3 }, '"0"');
    expect([bad.status, bad.body.type]).toEqual([422, '/problems/validation-failed']);
    expect(bad.body.errors?.map(({ pointer }) => pointer).sort()).toEqual(['/lanes', '/max_running_per_project']);
    expect(await put('prompts.generate', { system: 'x'.repeat(32 * 1024 + 1) }, '*')).toMatchObject({ status: 422 });
    expect(await put('flags', [1], '*')).toMatchObject({ status: 422 });
    expect(await changesOnLog()).toEqual([]);
  });

  it('gives a setting back to servers.yaml with null', async () => {
    await put('flags', OFF, '*');
    expect(await put('flags', null, '"1"')).toMatchObject({ body: { version: 2, source: 'servers.yaml', value: FIRST, changed: true } });
    expect(await put('flags', null, '*')).toMatchObject({ body: { version: 2, changed: false } });
    expect(world.deps.settings.current().flags).toEqual(FIRST);
  });

  it('lets exactly one of ten writers at two gateways win each version', async () => {
    for (let version = 0; version < 5; version++) {
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          put('scheduling', { max_running_per_project: version * 10 + n + 1 }, `"${version}"`, '', n % 2 === 0 ? world.app : other.app),
        ),
      );
      const won = answers.filter(({ status }) => status === 200);
      expect([won.length, answers.filter(({ status }) => status === 412).length]).toEqual([1, 9]);
      expect(won[0]!.body.version).toBe(version + 1);
    }
    const [mine, others] = [await ask('/scheduling'), await ask('/scheduling', {}, other.app)];
    expect(mine.body).toEqual(others.body);
  });

  it('takes whatever is there with *, however many do at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        put('scheduling', { max_running_per_project: n + 1 }, '*', '', n % 2 === 0 ? world.app : other.app),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect((await ask('/scheduling')).body.version).toBe(10);
  });
});

describe('versions, rollback and diff', () => {
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    ask<ConfigValue & { changed: boolean; warnings: string[] } & Problem>(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });

  it('tell what changed, and bring an earlier value back as a new version', async () => {
    await put('scheduling', { max_running_per_project: 3 }, '"0"', '?by=alice');
    await put('scheduling', { max_running_per_project: 4, projects: { a: { max_running: 1 } } }, '"1"');
    expect(await ask('/scheduling/diff')).toMatchObject({
      body: {
        from: 1,
        to: 2,
        changes: [
          { pointer: '/max_running_per_project', from: 3, to: 4 },
          { pointer: '/projects/a', to: { max_running: 1 } },
        ],
      },
    });
    expect(await post('/scheduling/rollback', { to: 1, reason: 'too many' })).toMatchObject({
      status: 200,
      etag: '"3"',
      body: { version: 3, rolled_back_to: 1, value: { max_running_per_project: 3, projects: {} }, reason: 'too many' },
    });
    const { body } = await ask<{ versions: Record<string, unknown>[] }>('/scheduling/versions');
    expect(body.versions.map(({ version, by, rolled_back_to, fits }) => [version, by, rolled_back_to, fits])).toEqual([
      [3, 'anonymous', 1, true],
      [2, 'anonymous', null, true],
      [1, 'alice', null, true],
      [0, null, null, true],
    ]);
  });

  it('go back as far as servers.yaml', async () => {
    await put('flags', OFF, '"0"');
    expect(await post('/flags/rollback', { to: 0 })).toMatchObject({ body: { version: 2, source: 'servers.yaml', value: FIRST } });
    expect(world.deps.settings.current().flags).toEqual(FIRST);
  });

  it('honour If-Match where it is given, and refuse versions that are not there', async () => {
    await put('flags', OFF, '"0"');
    expect(await post('/flags/rollback', { to: 0 }, { 'if-match': '"0"' })).toMatchObject({ status: 412 });
    expect(await post('/flags/rollback', { to: 7 })).toMatchObject({ status: 404 });
    expect(await ask('/flags/diff?from=0&to=9')).toMatchObject({ status: 404 });
  });
});
