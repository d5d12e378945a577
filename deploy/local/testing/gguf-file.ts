// A reader of GGUF files (version 3, 32-bit floats) after their specification, written apart from what writes them.
export interface Tensor {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly type: number;
  readonly offset: number;
}

export const openGguf = (file: Buffer) => {
  let at = 0;
  const next = (bytes: number) => {
    at += bytes;
    return file.subarray(at - bytes, at);
  };
  const u32 = () => next(4).readUInt32LE();
  const u64 = () => Number(next(8).readBigUInt64LE());
  const text = () => next(u64()).toString('utf8');
  const value = (type: number): unknown => {
    if (type === 4 || type === 5) return u32();
    if (type === 6) return next(4).readFloatLE();
    if (type === 7) return next(1)[0] === 1;
    if (type === 8) return text();
    if (type !== 9) throw new Error(`a value of type ${type}`);
    const [of, length] = [u32(), u64()];
    return Array.from({ length }, () => value(of));
  };
  const [magic, version] = [next(4).toString('latin1'), u32()];
  const [tensorCount, fieldCount] = [u64(), u64()];
  const fields = new Map(Array.from({ length: fieldCount }, () => [text(), value(u32())] as const));
  const tensors: readonly Tensor[] = Array.from({ length: tensorCount }, () => {
    const [name, dimensions] = [text(), u32()];
    return { name, sizes: Array.from({ length: dimensions }, u64), type: u32(), offset: u64() };
  });
  const data = Math.ceil(at / 32) * 32;
  /** A tensor's numbers, row after row. */
  const values = (name: string): Float32Array => {
    const { sizes, offset } = tensors.find((one) => one.name === name)!;
    const count = sizes.reduce((product, size) => product * size);
    return Float32Array.from({ length: count }, (_, index) => file.readFloatLE(data + offset + index * 4));
  };
  return { magic, version, fields, tensors, data, values };
};
