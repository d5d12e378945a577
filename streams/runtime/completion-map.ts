// What is done above the mark, as bytes: the state `done` of a group and partition, committed together with the outputs.
//
// M1. Of all records in [mark, end), those in `runs` are not done, all others are. Runs rise and do not touch.
// M2. Each record in flight costs 9 bytes at most, a run of neighbours no more than one record; done records cost nothing.
// M3. `epoch` and `serial` make the bytes of every commit different, so whoever lost an acknowledgement can read whether it was written.
import { Fault } from '../../schemas/index.js';

/** Not done, both ends included. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export interface CompletionMap {
  /** The offset to resume at. */
  readonly mark: number;
  /** Nothing is known of records from here on. */
  readonly end: number;
  readonly runs: readonly Run[];
}

export interface Stamp {
  readonly epoch: number;
  readonly serial: number;
}

/** The largest map, in bytes: room for 14,000 scattered records in flight. */
export const MAP_LIMIT_BYTES = 131_072;

const FORMAT = 1;
/** A varint of 8 bytes holds 56 bits: more than any offset. */
const VARINT_LIMIT_BYTES = 8;

/** @throws Fault `completion_map_too_large` beyond MAP_LIMIT_BYTES. */
export const encodeMap = (map: CompletionMap, stamp: Stamp): Uint8Array => {
  const bytes: number[] = [FORMAT];
  const put = (value: number): void => {
    let rest = value;
    while (rest >= 128) {
      bytes.push((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    bytes.push(rest);
  };
  put(stamp.epoch);
  put(stamp.serial);
  put(map.mark);
  put(map.end - map.mark);
  let last = map.mark;
  for (const run of map.runs) {
    put(run.from - last);
    put(run.to - run.from);
    last = run.to;
  }
  if (bytes.length > MAP_LIMIT_BYTES)
    throw new Fault(
      'fatal',
      'completion_map_too_large',
      `the completion map has ${bytes.length} bytes, ${MAP_LIMIT_BYTES} are allowed; hold fewer records in flight`,
    );
  return Uint8Array.from(bytes);
};

const unreadable = (why: string): Fault =>
  new Fault(
    'fatal',
    'completion_map_unreadable',
    `the completion map of this group and partition cannot be read: ${why}; delete the state to run its records above the mark again`,
  );

/** @throws Fault fatal `completion_map_unreadable`: guessing would run records twice or never. */
export const decodeMap = (bytes: Uint8Array): CompletionMap & Stamp => {
  let at = 0;
  const take = (): number => {
    let value = 0;
    for (let i = 0; i < VARINT_LIMIT_BYTES; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw unreadable('it ends too early');
      value += (byte % 128) * 128 ** i;
      if (byte < 128) return value;
    }
    throw unreadable('a number in it is too long');
  };
  if (bytes.length > MAP_LIMIT_BYTES) throw unreadable(`it has ${bytes.length} bytes`);
  const format = bytes[at++];
  if (format !== FORMAT) throw unreadable(`its format is ${format}, this build knows ${FORMAT}`);
  const epoch = take();
  const serial = take();
  const mark = take();
  const end = mark + take();
  const runs: Run[] = [];
  let last = mark;
  while (at < bytes.length) {
    const from = last + take();
    const to = from + take();
    runs.push({ from, to });
    last = to;
  }
  if (last > end || !Number.isSafeInteger(end)) throw unreadable('its offsets do not fit together');
  return { epoch, serial, mark, end, runs };
};
