import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetched } from './fetch.mjs';
import { copyWithDependencies, downloadFile } from './maven.mjs';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'dats-cache-'));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

/** A Maven repository with one file. */
const serving = async (content: string | undefined, use: (url: string) => Promise<void>) => {
  const server = createServer((_request, response) => {
    response.writeHead(content === undefined ? 404 : 200);
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
};

describe('the cache of downloads', () => {
  it('is filled once by two that want the same at once, and both get it whole', async () => {
    let fills = 0;
    const fill = async (folder: string) => {
      fills += 1;
      writeFileSync(join(folder, 'first'), '1');
      await new Promise((resolve) => setImmediate(resolve));
      writeFileSync(join(folder, 'second'), '2');
    };
    const places = await Promise.all([fetched({ cache, name: 'thing-1', fill }), fetched({ cache, name: 'thing-1', fill })]);
    expect(fills).toBe(1);
    for (const place of places) expect(readdirSync(place).sort()).toEqual(['first', 'second']);
  });

  it('has nothing of a download that failed, and the next one tries again', async () => {
    const broken = async (folder: string) => {
      writeFileSync(join(folder, 'half'), '');
      throw new Error('the network is gone');
    };
    await expect(fetched({ cache, name: 'thing-1', fill: broken })).rejects.toThrow('the network is gone');
    expect(readdirSync(cache)).toEqual([]);
    const place = await fetched({ cache, name: 'thing-1', fill: async (folder) => writeFileSync(join(folder, 'whole'), '') });
    expect(readdirSync(place)).toEqual(['whole']);
  });

  it('is not held by a process that died while it fetched', async () => {
    const script = `
      import { fetched } from ${JSON.stringify(new URL('./fetch.mjs', import.meta.url).href)};
      await fetched({ cache: process.argv[1], name: 'thing-1', fill: async () => process.kill(process.pid, 'SIGKILL') });`;
    const died = spawnSync(process.execPath, ['--input-type=module', '--eval', script, cache]);
    expect(died.signal, died.stderr.toString()).toBe('SIGKILL');
    expect(existsSync(join(cache, 'thing-1.lock'))).toBe(true);
    const place = await fetched({ cache, name: 'thing-1', fill: async (folder) => writeFileSync(join(folder, 'whole'), '') });
    expect(readdirSync(place)).toEqual(['whole']);
    expect(existsSync(join(cache, 'thing-1.lock'))).toBe(false);
  });
});

describe('a downloaded file', () => {
  it('is taken when its digest is the one that was written down', () =>
    serving('the archive', async (url) => {
      const file = await downloadFile(cache, { path: 'org/x/x-1.tar.gz', sha256: sha256('the archive') }, { DATS_SERVERS_MAVEN_URL: url });
      expect(readFileSync(file, 'utf8')).toBe('the archive');
    }));

  it('is refused when its content is another', () =>
    serving('something else', async (url) => {
      const wanted = { path: 'org/x/x-1.tar.gz', sha256: sha256('the archive') };
      await expect(downloadFile(cache, wanted, { DATS_SERVERS_MAVEN_URL: url })).rejects.toMatchObject({
        code: 'download_failed',
        message: expect.stringContaining(sha256('something else')),
      });
    }));

  it('that is not there is told with its address and what to do', () =>
    serving(undefined, async (url) => {
      const wanted = { path: 'org/x/x-1.tar.gz', sha256: sha256('the archive') };
      await expect(downloadFile(cache, wanted, { DATS_SERVERS_MAVEN_URL: url })).rejects.toMatchObject({
        code: 'download_failed',
        message: expect.stringMatching(/org\/x\/x-1\.tar\.gz .*404[\s\S]*DATS_SERVERS_MAVEN_URL/),
      });
    }));
});

describe('a program with its libraries', () => {
  it('that Maven is missing for is told with what installs it', async () => {
    const artifacts = [{ group: 'org.apache.kafka', artifact: 'kafka_2.13', version: '4.3.1' }];
    await expect(copyWithDependencies(cache, artifacts, { PATH: '' })).rejects.toMatchObject({
      code: 'mvn_missing',
      message: expect.stringMatching(/kafka_2\.13 4\.3\.1[\s\S]*apt-get install -y maven default-jre-headless/),
    });
    expect(readdirSync(cache)).toEqual([]);
  });
});
