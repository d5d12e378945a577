export { type AuditOptions, auditHistory } from './audit-history.js';
export * from './bundle.js';
export { AUDITED, type AuditEvent, auditEventOf, leafOfEvent, leafOfRecord } from './leaf.js';
export { openNote, originOf, parseCheckpoint, type SigningKey, signNote, type Verifier, verifierOf, vkeyOf } from './note.js';
export { consistencyProof, inclusionProof, levelsOf, verifyConsistency, verifyInclusion } from './proof.js';
export { isOfAttempt, MAKING_TYPES, makes, proveEvents, refuteProof, type ToProve } from './prove.js';
export { checkpointsOf, type LoggedCheckpoint, type LoggedHistory, openHistory, readRecords } from './read-history.js';
export { EMPTY, leafHash, rootOf, type Tree, withLeaf, withLeaves } from './tree.js';
export { type History, verifyHistory } from './verify.js';
