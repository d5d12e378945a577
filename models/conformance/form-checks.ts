// Does it answer in a form that was asked for: JSON, a schema, calls of tools.
import type { Tool, ToolCall } from '../runner.js';
import { type Check, type CheckContext, type Finding, findingOf, heardOf, user } from './check.js';

const objectIn = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
};

/** A long way with a grammar: white space may come between all that counts. */
const MAX_TOKENS = 200;
const VERDICTS: readonly unknown[] = ['yes', 'no'];
const SCHEMA = {
  type: 'object',
  properties: { verdict: { type: 'string', enum: VERDICTS } },
  required: ['verdict'],
  additionalProperties: false,
};

const inJson = async (context: CheckContext): Promise<Finding> => {
  const request = {
    messages: user('Answer with a JSON object that has one key, "ok", with the value true.'),
    json: true,
    max_tokens: MAX_TOKENS,
  };
  const { text, finish_reason } = await heardOf(context, request, (answer) => objectIn(answer.text) !== undefined);
  const evidence = `${text.length} characters, ended by ${finish_reason}`;
  if (objectIn(text) !== undefined) return { outcome: 'ok', evidence };
  return { outcome: finish_reason === 'length' && text.trimStart().startsWith('{') ? 'partly' : 'missing', evidence };
};

const inSchema = async (context: CheckContext): Promise<Finding> => {
  const messages = user('Is water wet? Answer with a JSON object that has one key, "verdict", which is "yes" or "no".');
  const request = { messages, json: true, json_schema: { name: 'verdict', schema: SCHEMA }, max_tokens: MAX_TOKENS };
  const fits = (text: string): boolean => VERDICTS.includes(objectIn(text)?.verdict);
  const { text, finish_reason } = await heardOf(context, request, (answer) => fits(answer.text));
  const evidence = `${text.length} characters, ended by ${finish_reason}`;
  if (fits(text)) return { outcome: 'ok', evidence };
  return { outcome: objectIn(text) === undefined ? 'missing' : 'partly', evidence };
};

const TOOL: Tool = { name: 'report', description: 'Reports the verdict.', parameters: SCHEMA };

const byTool = async (context: CheckContext): Promise<Finding> => {
  const messages = user('Is water wet? Report it with the tool.');
  const request = { messages, tools: [TOOL], tool_choice: 'required' as const, max_tokens: MAX_TOKENS };
  const isWhole = (call: ToolCall | undefined): boolean => call?.name === TOOL.name && objectIn(call.arguments) !== undefined;
  const { calls, text, finish_reason } = await heardOf(context, request, (answer) => isWhole(answer.calls[0]));
  const evidence = `${calls.length} calls beside ${text.length} characters, ended by ${finish_reason}`;
  if (calls.length === 0) return { outcome: 'missing', evidence };
  return { outcome: isWhole(calls[0]) ? 'ok' : 'partly', evidence };
};

const refusedMeansMissing = (error: unknown): Finding => findingOf(error, 'missing');

export const FORM_CHECKS: readonly Check[] = [
  {
    name: 'json',
    tries: 'JSON mode',
    calls: 3,
    tokens: 750,
    run: (context) => inJson(context).catch(refusedMeansMissing),
    about: {
      partly: 'an analysis that was cut is made of the signals of the task instead',
      missing: 'asks for JSON in words too; an analysis that is none is made of the signals of the task instead',
      failed: 'counts the call as failed and tries again',
    },
  },
  {
    name: 'json_schema',
    tries: 'JSON that fits a schema',
    calls: 3,
    tokens: 750,
    run: (context) => inSchema(context).catch(refusedMeansMissing),
    about: {
      partly: 'its own work needs none, and checks what it reads; clients of /v1 have to check what they get',
      missing: 'its own work needs none, and checks what it reads; clients of /v1 get JSON of any kind, text, or the refusal of the server',
      failed: 'counts the call as failed and tries again',
    },
  },
  {
    name: 'tools',
    tries: 'a call of a tool that has to be called',
    calls: 3,
    tokens: 900,
    run: (context) => byTool(context).catch(refusedMeansMissing),
    about: {
      partly: 'passes calls on as they come: whoever asked has to check name and arguments',
      missing: 'its own work needs none; clients of /v1 get text, or the refusal of the server',
      failed: 'counts the call as failed and tries again',
    },
  },
];
