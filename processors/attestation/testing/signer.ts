// A signer for tests: the key follows from its seed.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { type Signer, signerWith } from '../signer.js';

/** PKCS#8 of an Ed25519 key, up to its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export const testSigner = (seed = 'attestations'): Signer => {
  const secret = createHash('sha256').update(seed).digest();
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' });
  const publicKeyPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  return signerWith({ publicKeyPem, sign: (bytes) => sign(null, bytes, key) });
};
