// The data of server-sent events, from bytes as they come. No I/O. An event that was not ended when the stream ended is none.
import { StringDecoder } from 'node:string_decoder';
import { createParser } from 'eventsource-parser';

/** @returns what gives the data of the events that a piece has completed */
export const openEvents = (): ((piece: Uint8Array) => readonly string[]) => {
  const decoder = new StringDecoder('utf8');
  let complete: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => void complete.push(data) });
  return (piece) => {
    complete = [];
    parser.feed(decoder.write(piece as Buffer));
    return complete;
  };
};
