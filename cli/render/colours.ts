// Colours, only where somebody looks at a terminal.
import pc from 'picocolors';

export type Colours = ReturnType<typeof pc.createColors>;
export const coloursFor = (enabled: boolean): Colours => pc.createColors(enabled);
export const plain: Colours = coloursFor(false);
