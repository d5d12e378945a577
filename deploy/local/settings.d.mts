/** When the environment says nothing. */
export const DEFAULT_PORTS: { readonly kafka: number; readonly controller: number; readonly redis: number; readonly registry: number };
