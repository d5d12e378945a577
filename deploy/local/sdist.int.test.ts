// The archive is served by a package index of ours, asked by the real pip.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadSdist } from './sdist.mjs';

const PIP_LIMIT_MS = 60_000;
const FILE = 'noise_maker-1.2.tar.gz';
const pipIsThere = spawnSync('python3', ['-m', 'pip', '--version'], { timeout: PIP_LIMIT_MS }).status === 0;

let folder: string;
let ran: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dats-sdist-'));
  ran = join(folder, 'ran');
  mkdirSync(join(folder, 'got'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An archive whose build would leave a mark. */
const archive = () => {
  const inside = join(folder, 'noise_maker-1.2');
  mkdirSync(inside);
  writeFileSync(join(inside, 'pyproject.toml'), '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n');
  writeFileSync(join(inside, 'setup.py'), `open(${JSON.stringify(ran)}, "w").write("x")\nfrom setuptools import setup\nsetup()\n`);
  writeFileSync(join(inside, 'PKG-INFO'), 'Metadata-Version: 2.1\nName: noise-maker\nVersion: 1.2\n');
  execFileSync('tar', ['-czf', join(folder, FILE), '-C', folder, 'noise_maker-1.2']);
  return readFileSync(join(folder, FILE));
};

const serving = async (bytes: Buffer, use: (env: NodeJS.ProcessEnv, asked: string[]) => Promise<void>) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url?.endsWith('.tar.gz')) return response.end(bytes);
    response.setHeader('content-type', 'text/html');
    return response.end(`<a href="../../files/${FILE}">${FILE}</a>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const index = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`;
  try {
    await use({ ...process.env, PIP_CONFIG_FILE: '/dev/null', PIP_INDEX_URL: index, PIP_FIND_LINKS: '', PIP_NO_CACHE_DIR: '1' }, asked);
  } finally {
    server.close();
  }
};

const wanted = (bytes: Buffer) => ({
  project: 'noise-maker',
  version: '1.2',
  file: FILE,
  sha256: createHash('sha256').update(bytes).digest('hex'),
});

describe.skipIf(!pipIsThere && process.env['CI'] === undefined)(
  `a source archive of PyPI${pipIsThere ? '' : ' (skipped: no pip here)'}`,
  () => {
    it('comes from the index that pip is told of, and nothing of it is run', { timeout: PIP_LIMIT_MS }, async () => {
      const bytes = archive();
      await serving(bytes, async (env, asked) => {
        const file = await downloadSdist(join(folder, 'got'), wanted(bytes), env);
        expect(readFileSync(file).equals(bytes)).toBe(true);
        expect(asked).toEqual(['/simple/noise-maker/', `/files/${FILE}`]);
        expect(readdirSync(join(folder, 'got'))).toEqual([FILE]);
        expect(existsSync(ran)).toBe(false);
      });
    });

    it('is refused when its content is another', { timeout: PIP_LIMIT_MS }, async () => {
      const bytes = archive();
      await serving(bytes, async (env) => {
        const other = { ...wanted(bytes), sha256: '0'.repeat(64) };
        await expect(downloadSdist(join(folder, 'got'), other, env)).rejects.toMatchObject({
          code: 'download_failed',
          message: expect.stringMatching(/pip could not download noise-maker 1\.2[\s\S]*pip config list/),
        });
        expect(existsSync(ran)).toBe(false);
      });
    });
  },
);

describe('a source archive without its tools', () => {
  it('is told with what installs them', async () => {
    await expect(downloadSdist(join(folder, 'got'), wanted(Buffer.from('')), { PATH: '' })).rejects.toMatchObject({
      code: 'python3_missing',
      message: expect.stringContaining('apt-get install -y python3 python3-pip'),
    });
  });
});
