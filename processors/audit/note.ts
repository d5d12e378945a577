// Signed notes (C2SP signed-note) and the checkpoints that are written as such (C2SP tlog-checkpoint).
//
// N1. What is signed is the text up to and with the newline before the blank line. N2. The key's name is the configured origin; the first line of a checkpoint
// is that origin, `/` and the project, so that one key and one line to remember (the vkey) do for all projects of an installation.
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { Fault } from '../../schemas/index.js';
import { HASH_BYTES } from './tree.js';

/** Who signs. */
export interface SigningKey {
  /** Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** `<name>+<hash in hex>+<base64 of 0x01 and the public key>`: all that a verifier needs. */
  readonly vkey: string;
}

export interface Verifier {
  readonly name: string;
  /** First four bytes of SHA-256(name || 0x0A || 0x01 || public key). */
  readonly keyHash: Buffer;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

const ED25519 = 1;
const PUBLIC_BYTES = 32;
const KEY_HASH_BYTES = 4;
const SIGNATURE_BYTES = 64;
/** DER of an Ed25519 public key without its 32 bytes. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

const keyHashOf = (name: string, key: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), key]), 'buffer').subarray(0, KEY_HASH_BYTES);

export const vkeyOf = (name: string, publicKey: Uint8Array): string =>
  `${name}+${keyHashOf(name, publicKey).toString('hex')}+${Buffer.concat([Buffer.of(ED25519), publicKey]).toString('base64')}`;

const badVkey = (why: string) => new Fault('terminal', 'bad_vkey', `not the vkey of an Ed25519 key: ${why}`);

/** @throws Fault terminal `bad_vkey` */
export const verifierOf = (vkey: string): Verifier => {
  const parts = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(vkey.trim());
  if (parts === null) throw badVkey('it is not <name>+<8 hex digits>+<base64>');
  const [, name, keyHash, base64] = parts as unknown as [string, string, string, string];
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== 1 + PUBLIC_BYTES || bytes[0] !== ED25519) throw badVkey('the key is not one of type 1 with 32 bytes');
  const key = bytes.subarray(1);
  if (keyHashOf(name, key).toString('hex') !== keyHash) throw badVkey('its hash is not that of its key and name');
  const object: KeyObject = createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' });
  return { name, keyHash: Buffer.from(keyHash, 'hex'), verify: (message, signature) => verify(null, message, object, signature) };
};

/** @param text ends in a newline */
export const signNote = (text: string, key: SigningKey): string => {
  const { name, keyHash } = verifierOf(key.vkey);
  const signature = Buffer.concat([keyHash, key.sign(Buffer.from(text))]);
  return `${text}\n— ${name} ${signature.toString('base64')}\n`;
};

/** The text of a note with a valid signature by that key; others are passed over. @returns undefined where there is none. */
export const openNote = (note: string, verifier: Verifier): string | undefined => {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) return undefined;
  const text = note.slice(0, split + 1);
  for (const line of note.slice(split + 2, -1).split('\n')) {
    const [, name, base64] = /^— ([^\s+]+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? [];
    if (name !== verifier.name || base64 === undefined) continue;
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.length !== KEY_HASH_BYTES + SIGNATURE_BYTES || !bytes.subarray(0, KEY_HASH_BYTES).equals(verifier.keyHash)) continue;
    if (verifier.verify(Buffer.from(text), bytes.subarray(KEY_HASH_BYTES))) return text;
  }
  return undefined;
};

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

export const checkpointText = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${root.toString('base64')}\n`;

/** @returns undefined for a text that is no checkpoint */
export const parseCheckpoint = (text: string): Checkpoint | undefined => {
  const [, origin, size, base64] = /^(\S+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*$/.exec(text) ?? [];
  if (origin === undefined) return undefined;
  const root = Buffer.from(base64!, 'base64');
  return root.length === HASH_BYTES && Number.isSafeInteger(Number(size)) ? { origin, size: Number(size), root } : undefined;
};

/** The first line of a project's checkpoints. */
export const originOf = (vkey: Pick<Verifier, 'name'>, project: string): string => `${vkey.name}/${project}`;
