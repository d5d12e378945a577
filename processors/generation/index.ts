export { ANSWER_ERRORS, type AnswerErrorCode, type AnswerResult, defaultPath, filesIn } from './answer.js';
export { type GenerationOptions, generateEffect } from './effect.js';
export { renderFile, renderFiles, type TextFile } from './fence.js';
export { GENERATE_SYSTEM, PROMPT_BUDGET_TOKENS, type Prompt, type PromptInput, promptOf } from './prompt.js';
