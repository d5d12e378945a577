// The system messages that hold until the registry says otherwise.
import type { PromptName } from '../../schemas/index.js';
import { GENERATE_SYSTEM } from '../generation/index.js';
import { ANALYSE_SYSTEM, DECOMPOSE_SYSTEM } from '../routing/index.js';

export const builtInPrompts: Readonly<Record<PromptName, string>> = {
  generate: GENERATE_SYSTEM,
  analyse: ANALYSE_SYSTEM,
  decompose: DECOMPOSE_SYSTEM,
};
