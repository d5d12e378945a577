export { adminOf, analyticsOf, askLimitsOf, HISTORY_PROBLEMS, inTime, patienceFor } from './access.js';
export { lineageOf } from './lineage.js';
export { provenanceOf } from './provenance.js';
export { listExecutions } from './provenance-list.js';
export { type StatsQuestion, statsOf, statsQuestionOf } from './stats.js';
