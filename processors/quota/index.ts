export { type Account, endOf, usedIn, type Window } from './account.js';
export { LEDGER, ledgerDecider } from './decider.js';
export { keyOf, limitedBy, nanosOf, quotaOf, subjectsOf, usdOf, type Whose } from './limits.js';
