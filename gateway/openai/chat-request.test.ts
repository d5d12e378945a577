import { describe, expect, it } from 'vitest';
import { chatRequestSchema } from './chat-request.js';
import { errorOf } from './errors.js';
import { generateRequestOf } from './messages.js';
import { IGNORED, REFUSED } from './parameters.js';

const base = { model: 'auto', messages: [{ role: 'user', content: 'hi' }] };
const requestOf = (more: object) => generateRequestOf(chatRequestSchema.parse({ ...base, ...more }));
const refusalOf = (more: object) => {
  try {
    requestOf(more);
  } catch (error) {
    return errorOf(error, 'c').body.error;
  }
  throw new Error('it was taken');
};

describe('a chat request', () => {
  it('is passed on with all that a model can be asked', () => {
    const tools = [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true } }];
    expect(
      requestOf({
        temperature: 0,
        top_p: 0.5,
        presence_penalty: -1,
        frequency_penalty: 1,
        seed: 0,
        stop: 'end',
        max_tokens: 5,
        tools,
        tool_choice: { type: 'function', function: { name: 'f' } },
        response_format: { type: 'json_schema', json_schema: { name: 's', schema: { type: 'object' } } },
      }),
    ).toEqual({
      messages: [{ role: 'user', content: 'hi' }],
      temperature: 0,
      top_p: 0.5,
      presence_penalty: -1,
      frequency_penalty: 1,
      seed: 0,
      stop: ['end'],
      max_tokens: 5,
      tools: [{ name: 'f', description: 'd', parameters: { type: 'object' } }],
      tool_choice: { name: 'f' },
      json: true,
      json_schema: { name: 's', schema: { type: 'object' } },
    });
  });

  it('says nothing of what is null or left out', () => {
    const names = Object.keys(chatRequestSchema.shape).filter(
      (name) => !['model', 'messages', 'parallel_tool_calls', 'user'].includes(name),
    );
    expect(requestOf(Object.fromEntries(names.map((name) => [name, null])))).toEqual({ messages: [{ role: 'user', content: 'hi' }] });
  });

  it('joins text parts, takes developers for the system, and keeps tool calls with their answers', () => {
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}', parsed_arguments: {} } };
    const messages = [
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'be' },
          { type: 'text', text: 'brief' },
        ],
        name: 'boss',
      },
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, refusal: null, annotations: [], parsed: null, tool_calls: [call] },
      { role: 'tool', content: 'done', tool_call_id: 'c1' },
      { role: 'assistant', content: null, refusal: 'no' },
    ];
    expect(requestOf({ messages }).messages).toEqual([
      { role: 'system', content: 'be\nbrief' },
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: '', tool_calls: [{ id: 'c1', name: 'f', arguments: '{}' }] },
      { role: 'tool', content: 'done', tool_call_id: 'c1' },
      { role: 'assistant', content: 'no' },
    ]);
  });

  it.each(Object.keys(IGNORED))('ignores %s, whatever it is', (name) => {
    expect(requestOf({ [name]: { any: 'thing' } })).toEqual({ messages: [{ role: 'user', content: 'hi' }] });
  });

  it.each(Object.keys(REFUSED))('refuses %s by its name, and says why', (name) => {
    for (const value of [{ a: 1 }, 7, 'x', true, [1]]) {
      const error = refusalOf({ [name]: value });
      expect(error).toMatchObject({ code: 'unsupported_parameter', type: 'invalid_request_error' });
      expect(error.message).toContain(`${name}`);
      expect(error.message).toContain(REFUSED[name]);
    }
  });

  it('takes the values of refused parameters that change nothing', () => {
    requestOf({ n: 1, logprobs: false, top_logprobs: 0, logit_bias: {}, modalities: ['text'] });
  });

  it.each([
    [{ top_k: 1 }, 'top_k', 'unknown_parameter'],
    [{ stream: true, stream_options: { colour: 1 } }, 'stream_options.colour', 'unknown_parameter'],
    [{ tools: [{ type: 'function', function: { name: 'f', cache: 1 } }] }, 'tools[0].function.cache', 'unknown_parameter'],
    [{ messages: undefined }, 'messages', 'missing_required_parameter'],
    [{ model: undefined }, 'model', 'missing_required_parameter'],
    [{ messages: [] }, 'messages', 'invalid_value'],
    [{ messages: [{ role: 'function', content: 'x' }] }, 'messages[0].role', 'invalid_value'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      'messages[0].content[0].type',
      'unsupported_value',
    ],
    [{ messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] }, 'messages[0].content[0].type', 'unsupported_value'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text', 'missing_required_parameter'],
    [{ messages: [{ role: 'user', content: [{ type: 3 }] }] }, 'messages[0].content[0].type', 'invalid_value'],
    [{ messages: [{ role: 'tool', content: 'x', tool_call_id: 'c9' }] }, 'messages[0].tool_call_id', 'invalid_value'],
    [{ temperature: 3 }, 'temperature', 'invalid_value'],
    [{ temperature: 'hot' }, 'temperature', 'invalid_value'],
    [{ max_tokens: 1, max_completion_tokens: 2 }, 'max_tokens', 'invalid_value'],
    [{ stream_options: { include_usage: true } }, 'stream_options', 'invalid_value'],
    [{ tool_choice: 'required' }, 'tool_choice', 'invalid_value'],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, 'tool_choice.function.name', 'invalid_value'],
    [{ tools: [{ type: 'custom', custom: {} }] }, 'tools[0].type', 'invalid_value'],
    [{ response_format: { type: 'yaml' } }, 'response_format.type', 'invalid_value'],
  ])('%j is refused at %s: %s', (more, param, code) => {
    expect(refusalOf(more)).toMatchObject({ param, code, message: expect.stringContaining(param) });
  });

  it('quotes nothing of a prompt in an error', () => {
    const secret = 'the secret of the prompt';
    for (const more of [
      { messages: [{ role: 'user', content: { secret } }] },
      { messages: [{ role: 'tool', content: secret, tool_call_id: 'x' }] },
      { messages: [{ role: 'user', content: secret }], temperature: 9 },
      { messages: [{ role: 'user', content: [{ type: 'text', text: secret }, { type: 'file' }] }] },
    ])
      expect(JSON.stringify(refusalOf(more))).not.toContain(secret);
  });
});
