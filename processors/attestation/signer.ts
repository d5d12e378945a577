// Who signs attestations: whoever holds the Ed25519 key of this installation. The port; the private key is nobody's business here.
import { createHash } from 'node:crypto';
import { publicKeyOf } from './dsse.js';

export interface Signer {
  /** A hint for verifiers: which key to try. */
  readonly keyId: string;
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKeyPem: string;
  /** Ed25519 over the bytes (RFC 8032): the same bytes, the same signature. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** Lower-case hex SHA-256 of the SubjectPublicKeyInfo in DER. @throws Fault terminal `bad_key` */
export const keyIdOf = (publicKeyPem: string): string =>
  createHash('sha256')
    .update(publicKeyOf(publicKeyPem).export({ format: 'der', type: 'spki' }))
    .digest('hex');

/** The signer that a key makes. @throws Fault terminal `bad_key` */
export const signerWith = ({ publicKeyPem, sign }: Omit<Signer, 'keyId'>): Signer => ({ keyId: keyIdOf(publicKeyPem), publicKeyPem, sign });
