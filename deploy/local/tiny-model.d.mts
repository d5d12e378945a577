export const TINY_SEED: number;
/** Tokens. */
export const TINY_CONTEXT: number;
export const TINY_TEMPLATE: string;
/** The bytes of a GGUF file, version 3. */
export function tinyModel(seed?: number): Buffer;
export function sha256Of(bytes: Uint8Array): string;
export function writeTinyModel(file: string): void;
