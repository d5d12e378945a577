// Seeded randomness: the same seed gives the same numbers, on every machine.

export interface Random {
  /** 0 up to before 1. */
  next(): number;
  /** Whole, 0 up to before `below`. */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
  /** So many hex digits. */
  hex(digits: number): string;
  /** Has the shape of an id, and no time in it. */
  uuid(): string;
}

const WORD_DIGITS = 8;
/** sfc32's advice: so many numbers until the seed's are mixed. */
const MIXING = 12;

/** Chris Doty-Humphrey's sfc32: 128 bits of state, four additions a number. */
export const openRandom = (seed: number): Random => {
  let [a, b, c, counter] = [0x9e3779b9, seed | 0, 0x243f6a88, 1];
  const word = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < MIXING; i++) word();
  const int = (below: number): number => Math.floor((word() / 2 ** 32) * below);
  const hex = (digits: number): string => {
    let text = '';
    while (text.length < digits) text += word().toString(16).padStart(WORD_DIGITS, '0');
    return text.slice(0, digits);
  };
  return {
    next: () => word() / 2 ** 32,
    int,
    pick: (from) => from[int(from.length)]!,
    hex,
    uuid: () => {
      const digits = hex(30);
      return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-7${digits.slice(12, 15)}-8${digits.slice(15, 18)}-${digits.slice(18)}`;
    },
  };
};
