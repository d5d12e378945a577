/** Jinja: how messages become a prompt. */
export const TEMPLATE: string;
