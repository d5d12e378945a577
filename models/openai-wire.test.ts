import { describe, expect, it } from 'vitest';
import { contextIn, finishOf, openToolCalls, type ToolCallPiece } from './openai-wire.js';
import type { ToolCallChunk } from './runner.js';

const taken = (...pieces: readonly ToolCallPiece[]): readonly (ToolCallChunk | undefined)[] => {
  const calls = openToolCalls('m');
  return pieces.map((piece) => calls.take(piece));
};
const begin = (given: string, more: object = {}): ToolCallPiece => ({
  index: 0,
  id: 'c',
  function: { name: 'f', arguments: given },
  ...more,
});

describe('the pieces of tool calls', () => {
  it('are put together by their index, in whatever order they come', () => {
    const other = { index: 1, id: 'd', function: { name: 'g', arguments: '' } };
    expect(taken(begin('{'), other, { index: 0, function: { arguments: '}' } }, { index: 1, function: { arguments: '{}' } })).toEqual([
      { kind: 'tool_call', index: 0, id: 'c', name: 'f', arguments: '{' },
      { kind: 'tool_call', index: 1, id: 'd', name: 'g' },
      { kind: 'tool_call', index: 0, arguments: '}' },
      { kind: 'tool_call', index: 1, arguments: '{}' },
    ]);
  });

  it('bring nothing when they are a whole call, or a beginning, that came before', () => {
    expect(taken(begin('{"a":1}'), begin('{"a":1}'))[1]).toBeUndefined();
    expect(taken(begin(''), begin(''))[1]).toBeUndefined();
  });

  it('go on where a server repeats id and name with every piece', () => {
    expect(taken(begin('{"a":'), begin('1}'))[1]).toEqual({ kind: 'tool_call', index: 0, arguments: '1}' });
  });

  it('are told apart by their ids where a server gives no index', () => {
    const piece = (id: string, name: string, given: string): ToolCallPiece => ({ id, function: { name, arguments: given } });
    const chunks = taken(piece('a', 'f', '{'), piece('', '', '}'), piece('b', 'g', '{}'));
    expect(chunks.map((chunk) => chunk?.index)).toEqual([0, 0, 1]);
  });

  it('get an id where there is none, and JSON where an object came', () => {
    expect(taken({ index: 3, function: { name: 'f', arguments: { a: 1 } } })).toEqual([
      { kind: 'tool_call', index: 3, id: 'call_3', name: 'f', arguments: '{"a":1}' },
    ]);
  });

  it('are garbage without a name', () => {
    expect(() => taken({ index: 0, function: { arguments: '{}' } })).toThrowError(expect.objectContaining({ code: 'model_garbage' }));
  });
});

it.each([
  ['stop', 0, 'stop'],
  ['stop', 1, 'tool_calls'],
  ['function_call', 0, 'tool_calls'],
  ['length', 1, 'length'],
  ['eos', 0, 'other'],
])('an end by "%s" after %s calls is %s', (reason, calls, finish) => {
  expect(finishOf(reason, calls)).toBe(finish);
});

it.each([
  [{ id: 'vllm', max_model_len: 4096 }, 4096],
  [{ id: 'llama.cpp', meta: { n_ctx: 2048 } }, 2048],
  [{ id: 'openrouter', context_length: 131_072 }, 131_072],
  [{ id: 'openai' }, undefined],
  [{ id: 'odd', max_model_len: '4096' }, undefined],
])('the context of %j is %s', (model, tokens) => {
  expect(contextIn(model)).toBe(tokens);
});
