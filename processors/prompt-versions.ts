// Names of prompts: they stand in work items and outcomes. A changed prompt has another name.
//
// V1. `generate@1` is what is built in; its number rises when a build changes it. `generate@1.3` is the same with version 3 of the registry's key
// `prompts.generate` in place of the system message. V2. Whoever decides names the version; whoever asks the model uses that one and no other.
import { Fault, PROMPT_NAMES, type PromptName, promptKey } from '../schemas/index.js';

export const GENERATE_PROMPT = 'generate@1';
export const ANALYSE_PROMPT = 'analyse@1';
export const DECOMPOSE_PROMPT = 'decompose@1';

/** The version that holds of each. */
export type PromptVersions = Readonly<Record<PromptName, string>>;
export const BUILT_IN_PROMPTS: PromptVersions = { generate: GENERATE_PROMPT, analyse: ANALYSE_PROMPT, decompose: DECOMPOSE_PROMPT };

/** With so many changes of the registry's key. */
export const changedPrompt = (name: PromptName, version: number): string => `${BUILT_IN_PROMPTS[name]}.${version}`;

const CHANGED = /^(.+@\d+)\.(\d{1,9})$/;

/** What is built in of a version: `generate@1` of `generate@1.3`. */
export const builtInOf = (version: string): string => CHANGED.exec(version)?.[1] ?? version;

/** The registry's version that it names; undefined where that has no part in it. */
export const changeOf = (version: string): number | undefined => {
  const change = CHANGED.exec(version)?.[2];
  return change === undefined ? undefined : Number(change);
};

/** The system message that version `change` of the registry's key says; undefined where it is not known, or says none. */
export type PromptSource = (name: PromptName, change: number) => string | undefined;

export interface NamedPrompt {
  readonly version: string;
  readonly system: string;
}

/** What the version that a work item names says (V2). @throws Fault retryable `prompt_unknown` where this process does not know it (yet) */
export const promptNamed = (name: PromptName, version: string, builtIn: string, source: PromptSource | undefined): NamedPrompt => {
  const change = changeOf(version);
  if (change === undefined) return { version: BUILT_IN_PROMPTS[name], system: builtIn };
  const system = source?.(name, change);
  if (system === undefined)
    throw new Fault(
      'retryable',
      'prompt_unknown',
      `version ${change} of the setting ${promptKey(name)} is not known here; another process may know it already, or this build does not understand it`,
    );
  return { version: changedPrompt(name, change), system };
};

/** The versions that hold where the registry's keys have these versions; absent: what is built in. */
export const promptVersionsOf = (changes: Readonly<Partial<Record<PromptName, { readonly version: number }>>>): PromptVersions => {
  const named = PROMPT_NAMES.map((name) => [
    name,
    changes[name] === undefined ? BUILT_IN_PROMPTS[name] : changedPrompt(name, changes[name].version),
  ]);
  return Object.fromEntries(named) as PromptVersions;
};
