export { bundleOf, statementsOf, type Verified, verifyBundle } from './bundle.js';
export { type Ancestor, provDocumentOf } from './prov.js';
export { PROVENANCE_TYPE } from './provenance-statement.js';
export { type At, type GenerationRecord, isA, recordOf, type Surroundings } from './record.js';
export { keyIdOf, type Signer, signerWith } from './signer.js';
export { CLEAN, isClean, STANDING_TYPES, type Standing, standingsOf } from './standing.js';
export { STANDING_ANNOTATION } from './subject.js';
export { TEST_RESULT_TYPE } from './test-result-statement.js';
