// The Ed25519 key of an installation: signs the checkpoints of histories, and attestations. Loaded, or made at the first start.
//
// K1. Whoever starts first makes it; processes that start at once end with one key: the name is given by a link, which is there or is not. K2. A key is on disk
// before anything is signed with it. K3. Only its owner may read it (mode 0600). A key file that is there and is none is never overwritten.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type SigningKey, vkeyOf } from '../processors/audit/index.js';
import { Fault } from '../schemas/index.js';

export interface NodeKey extends SigningKey {
  /** SubjectPublicKeyInfo in PEM: what other tools verify with. */
  readonly publicKeyPem: string;
}

export interface SigningKeyOptions {
  /** The folder of servers.yaml's `node.data_dir`. */
  readonly dataDir: string;
  /** `audit.key_file`, relative to it. */
  readonly keyFile: string;
  /** `audit.origin`: the key's name in notes and in the vkey. */
  readonly name: string;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

/** @throws Fault fatal `bad_signing_key` for a file that holds no Ed25519 key; the error of a disk that cannot be written. */
export const openSigningKey = async ({ dataDir, keyFile, name }: SigningKeyOptions): Promise<NodeKey> => {
  const path = resolve(dataDir, keyFile);
  const key = keyIn((await read(path)) ?? (await make(path)), path);
  // Whoever made it may have died before its name was on disk.
  await syncFolder(dirname(path));
  const publicKey = createPublicKey(key);
  const bytes = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
  return {
    sign: (message) => sign(null, message, key),
    publicKey: bytes,
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    vkey: vkeyOf(name, bytes),
  };
};

const read = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });

const keyIn = (pem: string, path: string): KeyObject => {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw bad(path, cause);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw bad(path);
  return key;
};

const bad = (path: string, cause?: unknown) =>
  new Fault(
    'fatal',
    'bad_signing_key',
    `${path} holds no Ed25519 private key in PEM: put the right file back; without it a new key is made at the next start, and what the old one signed is verified with the old vkey`,
    { cause },
  );

/** K1, K2. @returns the PEM that is there now, ours or another process's. */
const make = async (path: string): Promise<string> => {
  const folder = dirname(path);
  const created = await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }));
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  if (created !== undefined) for (let made = folder; made.length >= created.length; made = dirname(made)) await syncFolder(dirname(made));
  return readFile(path, 'utf8');
};

/** Makes a name durable: it is an entry of its folder. */
const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};
