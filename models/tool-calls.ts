// Calls of tools, put together from the pieces of a stream.
import type { ToolCall, ToolCallChunk } from './runner.js';

type Filled<T> = { -readonly [K in keyof T]: T[K] };

export interface ToolCalls {
  add(chunk: ToolCallChunk): void;
  /** Characters of all of them: for estimates. */
  readonly chars: number;
  /** In the order of their index; undefined where there are none. */
  all(): readonly ToolCall[] | undefined;
}

export const collectToolCalls = (): ToolCalls => {
  const calls = new Map<number, Filled<ToolCall>>();
  let chars = 0;
  return {
    add: ({ index, id, name, arguments: piece = '' }) => {
      let call = calls.get(index);
      if (call === undefined) {
        call = { id: id ?? `call_${index}`, name: '', arguments: '' };
        calls.set(index, call);
      }
      if (id !== undefined) call.id = id;
      if (name !== undefined) call.name = name;
      call.arguments += piece;
      chars += piece.length;
    },
    get chars() {
      return chars;
    },
    all: () => (calls.size === 0 ? undefined : [...calls.entries()].sort(([a], [b]) => a - b).map(([, call]) => call)),
  };
};
