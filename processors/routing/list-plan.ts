// A version of what is asked that is no prompt: see ../prompt-versions.ts for those.
/** No prompt at all: the plan is read off the lists of the description. */
export const LIST_PLAN = 'list@1';
