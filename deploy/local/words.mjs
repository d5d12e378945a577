// What the words after `servers.mjs` ask for. Pure.
import { failure } from './failure.mjs';
import { BASE, MODELS, NAMES } from './settings.mjs';

const GROUPS = { all: NAMES, models: MODELS };
/** Of each command: its flags, the names that it takes, and the servers that are meant when it names none. */
const COMMANDS = {
  up: { flags: ['--fresh'], names: NAMES, otherwise: BASE },
  down: { flags: [], names: NAMES, otherwise: NAMES },
  status: { flags: ['--json'], names: NAMES, otherwise: NAMES },
  env: { flags: [], names: NAMES, otherwise: NAMES },
  build: { flags: [], names: MODELS, otherwise: MODELS },
};

/**
 * @param {readonly string[]} words
 * @returns {{ command: string, names: readonly string[], named: boolean, fresh: boolean, json: boolean }} `named`: the servers were named
 * @throws failure `usage`
 */
export const askedIn = (words) => {
  const [command, ...rest] = words;
  if (command === undefined) throw failure('usage', 'say what to do');
  if (!Object.hasOwn(COMMANDS, command)) throw failure('usage', `${command} is not a command`);
  const { flags, names, otherwise } = COMMANDS[command];
  const meant = rest.filter((word) => !flags.includes(word)).flatMap((word) => (Object.hasOwn(GROUPS, word) ? GROUPS[word] : [word]));
  const unknown = meant.find((word) => !NAMES.includes(word));
  if (unknown !== undefined) throw failure('usage', `${command} does not know ${unknown}`);
  const named = meant.length > 0;
  const chosen = names.filter((name) => (named ? meant : otherwise).includes(name));
  if (chosen.length === 0) throw failure('usage', `${command} is for ${names.join(' and ')}`);
  return { command, names: chosen, named, fresh: rest.includes('--fresh'), json: rest.includes('--json') };
};
