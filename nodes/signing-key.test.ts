import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openNote, signNote, verifierOf } from '../processors/audit/index.js';
import { openSigningKey } from './signing-key.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'dats-key-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const open = (keyFile = 'keys/signing.pem') => openSigningKey({ dataDir, keyFile, name: 'dats/projects' });

test('a key is made once, readable by its owner only, and is the same at the next start', async () => {
  const key = await open();
  expect((await stat(join(dataDir, 'keys/signing.pem'))).mode & 0o777).toBe(0o600);
  expect((await open()).vkey).toBe(key.vkey);
  expect(await readdir(join(dataDir, 'keys'))).toEqual(['signing.pem']);
});

test('what it signs is verified with the vkey, and with the PEM of the public key', async () => {
  const key = await open();
  expect(openNote(signNote('text\n', key), verifierOf(key.vkey))).toBe('text\n');
  expect(verify(null, Buffer.from('m'), createPublicKey(key.publicKeyPem), key.sign(Buffer.from('m')))).toBe(true);
  expect(key.publicKey).toHaveLength(32);
});

test('many that start at once end with one key', async () => {
  const keys = await Promise.all(Array.from({ length: 20 }, () => open('deep/er/key.pem')));
  expect(new Set(keys.map(({ vkey }) => vkey)).size).toBe(1);
  expect((await open('deep/er/key.pem')).vkey).toBe(keys[0]!.vkey);
  expect(await readdir(join(dataDir, 'deep/er'))).toEqual(['key.pem']);
});

test.each([
  ['no PEM', 'nonsense'],
  ['nothing', ''],
  [
    'another kind of key',
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  ],
])('a file that holds %s is refused and left as it is', async (_, text) => {
  await mkdir(join(dataDir, 'keys'));
  await writeFile(join(dataDir, 'keys/signing.pem'), text);
  await expect(open()).rejects.toMatchObject({ kind: 'fatal', code: 'bad_signing_key' });
  expect(await readFile(join(dataDir, 'keys/signing.pem'), 'utf8')).toBe(text);
});

test('where no file can be written there is no key', async () => {
  await writeFile(join(dataDir, 'keys'), 'a file, not a folder');
  await expect(open()).rejects.toMatchObject({ code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/) });
});
