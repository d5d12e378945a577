export const TINY_SEED: number;
/** Tokens. */
export const TINY_CONTEXT: number;
/** The bytes of a GGUF file, version 3. */
export function tinyModel(seed?: number): Buffer;
