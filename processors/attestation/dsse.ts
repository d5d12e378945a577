// The Dead Simple Signing Envelope, v1: what is signed is the payload and its type, never the JSON around it.
//
// E1. The payload is canonical JSON (RFC 8785), so the same statement gives the same bytes, and Ed25519 the same signature.
// E2. Nothing of a payload is parsed before a signature over it was verified.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import canonicalize from 'canonicalize';
import { type DsseEnvelope, Fault, PAYLOAD_TYPE, type Statement } from '../../schemas/index.js';
import type { Signer } from './signer.js';

/** Pre-authentication encoding. Lengths are of bytes, in decimal. */
export const preAuthEncoding = (type: string, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.byteLength} `), payload]);

export const envelopeOf = (statement: Statement, signer: Signer): DsseEnvelope => {
  const payload = Buffer.from(canonicalize(statement)!);
  const signature = signer.sign(preAuthEncoding(PAYLOAD_TYPE, payload));
  return {
    payloadType: PAYLOAD_TYPE,
    payload: payload.toString('base64'),
    signatures: [{ keyid: signer.keyId, sig: Buffer.from(signature).toString('base64') }],
  };
};

/** @throws Fault terminal `bad_key` when it is not a public Ed25519 key in PEM. */
export const publicKeyOf = (pem: string): KeyObject => {
  let key: KeyObject;
  try {
    if (/PRIVATE KEY/.test(pem)) throw new Error('it is a private key');
    key = createPublicKey(pem);
  } catch (cause) {
    throw new Fault('terminal', 'bad_key', 'the key is not a public key in PEM (-----BEGIN PUBLIC KEY-----)', { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Fault('terminal', 'bad_key', `the key is ${key.asymmetricKeyType}; attestations are signed with ed25519`);
  return key;
};

/** The payload of an envelope on which the key has a valid signature; undefined where it has none (E2). Key ids are hints and prove nothing. */
export const verifiedPayload = ({ payloadType, payload, signatures }: DsseEnvelope, key: KeyObject): Uint8Array | undefined => {
  const bytes = Buffer.from(payload, 'base64');
  const signed = preAuthEncoding(payloadType, bytes);
  return signatures.some(({ sig }) => verify(null, signed, key, Buffer.from(sig, 'base64'))) ? bytes : undefined;
};
