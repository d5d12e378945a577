export { type Account, endOf, recentCount, usedIn, type Window } from './account.js';
export { type Budgeted, budgeted, chargedFor } from './budgeted.js';
export { ledgerDecider } from './decider.js';
export { keyOf, limitedBy, nanosOf, quotaOf, refusalText, subjectsOf, usdOf, type Whose } from './limits.js';
export { dearestPrice } from './price.js';
export { type Accounts, LEDGER_GROUP, LEDGER_SOURCE, type LedgerReader, openLedgerReader } from './read-ledger.js';
export {
  openSpending,
  type Spending,
  type SpendingAnswer,
  type SpendingOptions,
  type SpendingRequest,
  type Spent,
  withinReserved,
} from './spend.js';
