import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DsseEnvelope, PAYLOAD_TYPE, type Statement } from '../../schemas/index.js';
import { envelopeOf, preAuthEncoding, publicKeyOf, verifiedPayload } from './dsse.js';
import { testSigner } from './testing/signer.js';

const signer = testSigner();
const key = publicKeyOf(signer.publicKeyPem);
const statement: Statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'ä.py', digest: { sha256: 'ab' } }],
  predicateType: 'urn:test',
  predicate: { b: 1, a: [true] },
};

test('the encoding before signing is that of the DSSE specification', () => {
  expect(Buffer.from(preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))).toString()).toBe(
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
  expect(Buffer.from(preAuthEncoding('ä', Buffer.from('ö'))).toString()).toBe('DSSEv1 2 ä 2 ö');
});

test('the payload is canonical JSON, and the same statement gives the same envelope', () => {
  const turned = { ...statement, predicate: { a: [true], b: 1 } };
  expect(envelopeOf(turned, signer)).toEqual(envelopeOf(statement, signer));
  expect(Buffer.from(envelopeOf(statement, signer).payload, 'base64').toString()).toBe(
    '{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":[true],"b":1},"predicateType":"urn:test","subject":[{"digest":{"sha256":"ab"},"name":"ä.py"}]}',
  );
});

test('a payload comes out only where the key signed it with its type', () => {
  const envelope = envelopeOf(statement, signer);
  expect(Buffer.from(verifiedPayload(envelope, key)!).toString('base64')).toBe(envelope.payload);
  const url = { ...envelope, payload: envelope.payload.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '') };
  expect(verifiedPayload(url, key)).toBeDefined();
  const others: DsseEnvelope[] = [
    { ...envelope, payloadType: `${PAYLOAD_TYPE}x` },
    { ...envelope, signatures: envelopeOf(statement, testSigner('another')).signatures },
    { ...envelope, signatures: [{ sig: '' }] },
  ];
  for (const other of others) expect(verifiedPayload(other, key)).toBeUndefined();
});

test('no changed bit of payload or signature is taken', () => {
  const envelope = envelopeOf(statement, signer);
  const flipped = (base64: string, bit: number): string => {
    const bytes = Buffer.from(base64, 'base64');
    bytes[Math.floor(bit / 8) % bytes.length]! ^= 1 << (bit % 8);
    return bytes.toString('base64');
  };
  fc.assert(
    fc.property(fc.nat(10_000), fc.boolean(), (bit, inPayload) => {
      const { payload, signatures } = envelope;
      const changed = inPayload
        ? { ...envelope, payload: flipped(payload, bit) }
        : { ...envelope, signatures: [{ sig: flipped(signatures[0]!.sig, bit) }] };
      expect(verifiedPayload(changed, key)).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test('a key that is private, of another kind, or none is refused', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const pem of [
    privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    'no key',
  ])
    expect(() => publicKeyOf(pem)).toThrow(expect.objectContaining({ code: 'bad_key' }));
});
