import type { DemoAnswer } from './demo-answers.mjs';

/** What the model says where it knows no answer. */
export const STRANGER: string;
/** The bytes of a GGUF file, version 3. */
export function demoModel(name: string, answers: readonly DemoAnswer[]): Buffer;
