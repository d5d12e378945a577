import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleOf, recordOf, type Standing, standingsOf, statementsOf } from '../../processors/attestation/index.js';
import { generation, sayings } from '../../processors/attestation/testing/generation.js';
import { testSigner } from '../../processors/attestation/testing/signer.js';
import { answerJson } from '../testing.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-attest-'));
});
afterEach(async () => {
  await dats.close();
  rmSync(dir, { recursive: true, force: true });
});

const signer = testSigner();
const text = 'def slugify(text): ...\n';
const made = generation({ path: 'src/slug.py', text });
const { artifact_id } = made.artifact;
const standing = (...events: Parameters<typeof standingsOf>[0] extends Iterable<infer E> ? E[] : never): Standing =>
  standingsOf(events, [artifact_id]).get(artifact_id)!;
const bundle = (how = standing()) => bundleOf(statementsOf(recordOf(0, made.all, artifact_id), {}, how), signer);

const written = (name: string, content: string): string => {
  writeFileSync(join(dir, name), content);
  return name;
};
const verify = (lines: string, ...more: string[]) =>
  dats(['attest', 'verify', written('a.intoto.jsonl', lines), '--key', written('dats.pub', signer.publicKeyPem), ...more], { cwd: dir });

describe('dats attest', () => {
  const serve = () =>
    dats.serve(({ url }, response) => {
      if (url === '/api/v1/attestations/key') response.end(signer.publicKeyPem);
      else if (url?.includes('format=prov') === true) answerJson(response, 200, { prefix: {}, entity: {} });
      else response.writeHead(200, { 'content-type': 'application/vnd.in-toto.bundle' }).end(bundle());
    });

  it('writes the attestations as they came, which verify with the key that is printed', async () => {
    await serve();
    expect(await dats(['attest', artifact_id, '--out', 'slug.intoto.jsonl'], { cwd: dir })).toMatchObject({
      code: 0,
      out: 'written slug.intoto.jsonl\n',
    });
    expect([readFileSync(join(dir, 'slug.intoto.jsonl'), 'utf8'), readdirSync(dir)]).toEqual([bundle(), ['slug.intoto.jsonl']]);
    const { out: pem } = await dats(['attest', 'key'], { cwd: dir });
    written('dats.pub', pem);
    written('slug.py', text);
    const checked = await dats(['attest', 'verify', 'slug.intoto.jsonl', '--key', 'dats.pub', '--artifact', 'slug.py'], { cwd: dir });
    expect(checked).toMatchObject({ code: 0, err: '' });
    expect(dats.requests.map(({ url }) => url)).toEqual([`/api/v1/provenance/${artifact_id}?format=intoto`, '/api/v1/attestations/key']);
  });

  it('prints to standard output where no file is given, and asks for what was said', async () => {
    await serve();
    expect((await dats(['attest', artifact_id, '--tainted'])).out).toBe(bundle());
    expect((await dats(['attest', artifact_id, '--format', 'prov', '--depth', '3'])).out).toBe('{"prefix":{},"entity":{}}\n');
    expect(dats.requests.map(({ url }) => url?.split('?')[1])).toEqual(['format=intoto&tainted=true', 'format=prov&depth=3']);
    expect((await dats(['attest', artifact_id, '--format', 'xml'])).code).toBe(2);
    expect((await dats(['attest'])).code).toBe(2);
  });

  it('shows why the server refuses', async () => {
    const detail = 'artifact "a" is tainted, says cascade c1';
    await dats.serve((_request, response) =>
      answerJson(response, 409, {
        type: '/problems/artifact-tainted',
        title: 'Artifact known to be bad',
        status: 409,
        detail,
        correlation_id: 'c',
        retryable: false,
      }),
    );
    expect(await dats(['attest', 'a'])).toMatchObject({ code: 1, out: '', err: expect.stringContaining(detail) });
  });
});

describe('dats attest verify', () => {
  it('asks nobody, and says what was signed', async () => {
    const { code, out, err } = await verify(bundle(), '--artifact', written('slug.py', text));
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n')).toEqual([
      `signed  https://slsa.dev/provenance/v1  src/slug.py  sha256:${made.artifact.sha256}`,
      `signed  https://in-toto.io/attestation/test-result/v0.1  src/slug.py  sha256:${made.artifact.sha256}`,
      'slug.py has the digest that was signed',
      '',
    ]);
  });

  it('says that no file was compared', async () => {
    expect((await verify(bundle())).err).toContain('--artifact');
    expect(JSON.parse((await verify(bundle(), '--json')).out)).toMatchObject({ ok: true, artifact_compared: false, statements: [{}, {}] });
  });

  it('fails for another file, another key, and a changed statement', async () => {
    expect(await verify(bundle(), '--artifact', written('slug.py', `${text} `))).toMatchObject({
      code: 1,
      err: expect.stringContaining('other bytes'),
    });
    const other = bundleOf(statementsOf(recordOf(0, made.all, artifact_id), {}, standing()), testSigner('another'));
    expect(await verify(other)).toMatchObject({ code: 1, err: expect.stringContaining('none of 2 lines') });
    expect((await verify(bundle().replaceAll('"payload":"ey', '"payload":"eY'))).code).toBe(1);
  });

  it('fails where the attestation says itself that the artifact is bad', async () => {
    const bad = bundle(standing(sayings(made.artifact, made.task).tainted(9, 'c1', 'poisoned')));
    const { code, out, err } = await verify(bad);
    expect(code).toBe(1);
    expect(out).toContain('signed  https://slsa.dev/provenance/v1');
    expect(err).toMatch(/says itself that src\/slug\.py was known to be bad: .*poisoned/);
    expect(JSON.parse((await verify(bad, '--json')).out)).toMatchObject({ ok: false, warnings: [{ mark: 'tainted' }, {}] });
  });

  it('is bad usage where a file cannot be read', async () => {
    expect((await dats(['attest', 'verify', 'nothing', '--key', 'nothing'], { cwd: dir })).code).toBe(2);
    expect((await verify(bundle(), '--artifact', 'nothing')).code).toBe(2);
  });
});
