export function sha256Of(bytes: Uint8Array): string;
/** The file is whole or not there. */
export function writeWhole(file: string, bytes: Uint8Array): void;
