// Names and their numbers, from 1 on: paths, models, prompts, nodes, versions. There are few of them and each is said often.

export interface Interner {
  readonly numbers: Map<string, number>;
  /** By number - 1. */
  readonly names: string[];
}

export const openInterner = (): Interner => ({ numbers: new Map(), names: [] });

/** 0: not known, so nothing has it. */
export const numberOf = ({ numbers }: Interner, name: string): number => numbers.get(name) ?? 0;

/** Gives it the next number where it has none. */
export const intern = ({ numbers, names }: Interner, name: string): number => {
  const known = numbers.get(name);
  if (known !== undefined) return known;
  const number = names.push(name);
  numbers.set(name, number);
  return number;
};

/** @param number that was given */
export const nameOf = ({ names }: Interner, number: number): string => names[number - 1]!;
