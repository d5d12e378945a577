export { HISTORY_GROUP, type VerifySources, verifyProject } from './verify.js';
