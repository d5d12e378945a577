// The toy models by name: made on the spot, no download and no licence.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { demoAnswers } from './demo-answers.mjs';
import { DEMO_CONTEXT, demoModel } from './demo-model.mjs';
import { sha256Of, writeWhole } from './gguf.mjs';
import { TINY_CONTEXT, tinyModel } from './tiny-model.mjs';

/** Noise: for tests of servers. */
export const TINY = 'tiny';
/** They know the demo by heart; the small one is wrong once, as the small tier's recorded answers are. */
export const [DEMO_SMALL, DEMO_MEDIUM] = ['demo-small', 'demo-medium'];

const MADE = {
  [TINY]: { context: TINY_CONTEXT, make: async () => tinyModel() },
  [DEMO_SMALL]: { context: DEMO_CONTEXT, make: async () => demoModel(DEMO_SMALL, await demoAnswers('small')) },
  [DEMO_MEDIUM]: { context: DEMO_CONTEXT, make: async () => demoModel(DEMO_MEDIUM, await demoAnswers('medium')) },
};

/** Tokens. */
export const contextOf = (name) => MADE[name].context;
/** The bytes of its GGUF file. */
export const toyModel = (name) => MADE[name].make();

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [name = TINY, file = `${name}.gguf`] = process.argv.slice(2);
  const bytes = await toyModel(name);
  writeWhole(resolve(file), bytes);
  process.stdout.write(`${file}  ${bytes.length} bytes, sha256 ${sha256Of(bytes)}\n`);
}
