// The key with which attestations are verified. Attestations themselves are a format of provenance: routes/provenance.ts.
import { signerOf } from '../attestation/index.js';
import { STATUS } from '../problem.js';
import { route } from '../table.js';

const key = route({
  method: 'GET',
  path: '/api/v1/attestations/key',
  operationId: 'getAttestationKey',
  tag: 'history',
  summary: 'The public key of attestations',
  description: 'Ed25519, SubjectPublicKeyInfo in PEM. Take it over a way that you trust, once: `dats attest verify` needs nothing else.',
  success: [
    {
      status: STATUS.ok,
      description: 'The key.',
      contentType: 'application/x-pem-file',
      headers: { 'Dats-Key-Id': 'The `keyid` of signatures made with it.' },
    },
  ],
  problems: ['signing_off'],
  handle: (_call, { deps }) => {
    const { publicKeyPem, keyId } = signerOf(deps);
    return {
      status: STATUS.ok,
      headers: { 'content-type': 'application/x-pem-file', 'dats-key-id': keyId, 'cache-control': 'no-cache' },
      body: publicKeyPem,
    };
  },
});

export const attestationRoutes = [key];
