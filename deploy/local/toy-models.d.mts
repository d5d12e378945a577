export type ToyModel = 'tiny' | 'demo-small' | 'demo-medium';
/** The bytes of its GGUF file. */
export function toyModel(name: ToyModel): Promise<Buffer>;
