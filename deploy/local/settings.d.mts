/** The folder of downloads, and of what was built. */
export function cacheDir(env?: Readonly<Record<string, string | undefined>>): string;
/** When the environment says nothing. */
export const DEFAULT_PORTS: Readonly<Record<'kafka' | 'controller' | 'redis' | 'registry' | 'ollama' | 'llama', number>>;
