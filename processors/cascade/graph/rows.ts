// Rows of numbers, side by side in one typed array that grows. It starts tiny, because there are thousands of small projects, and doubles, because there are large ones.

export type Numbers = Int32Array | Float64Array;

/** A power of two. */
export const FIRST_ROWS = 4;

/** The numbers themselves, or more room with the same at its beginning and zeros after them. @param rows that are needed; @param width numbers of a row */
export const withRows = <N extends Numbers>(numbers: N, rows: number, width = 1): N => {
  if (rows * width <= numbers.length) return numbers;
  let room = Math.max(numbers.length / width, FIRST_ROWS);
  while (room < rows) room *= 2;
  const larger = new (numbers.constructor as new (length: number) => N)(room * width);
  larger.set(numbers);
  return larger;
};
