export { AUDIT_PROBLEMS, type AuditIdentity, auditOf, keyNameOf, patiently } from './access.js';
export { bundleStream, listCheckpoints, prove, verifyProject } from './answers.js';
export type { Wanted } from './find-events.js';
