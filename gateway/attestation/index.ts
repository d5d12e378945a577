export { attest, type Signing, signerOf } from './attest.js';
export { provOf } from './lineage.js';
