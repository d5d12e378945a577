export { ANSWER_ERRORS, type AnswerErrorCode, type AnswerResult, defaultPath, filesIn } from './answer.js';
export { generateEffect, type GenerationOptions } from './effect.js';
export { renderFile, renderFiles, type TextFile } from './fence.js';
export { GENERATE_PROMPT, PROMPT_BUDGET_TOKENS, promptOf, type Prompt, type PromptInput } from './prompt.js';
