export const REGISTRY_VERSION: string;
