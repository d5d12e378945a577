/** When the environment says nothing. */
export const DEFAULT_PORTS: Readonly<Record<'kafka' | 'controller' | 'redis' | 'registry' | 'ollama' | 'llama', number>>;
