// Versions of what is asked: they stand in work items and outcomes. A changed prompt gets a new version.
export const ANALYSE_PROMPT = 'analyse@1';
export const DECOMPOSE_PROMPT = 'decompose@1';
/** No prompt at all: the plan is read off the lists of the description. */
export const LIST_PLAN = 'list@1';
