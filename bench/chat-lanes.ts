// The ways to the same model that P10 compares: straight to its server, through ours, through other gateways; and through our port in this process.
import { openModelGateway } from '../models/index.js';
import { configurationOf } from '../nodes/index.js';
import { ChatConnection, type ChatRequest } from './chat-connection.js';
import { modelEntry } from './chat-node.js';
import { UPSTREAM_MODEL } from './model-upstream.js';

export const CHAT_PATH = '/v1/chat/completions';

/** About 500 bytes, as a question about code has. */
const MESSAGES = [
  { role: 'system', content: 'You are a careful engineer. Answer with code only, and keep to the style of the file that you are shown.' },
  {
    role: 'user',
    content:
      'Write a function in Python that takes a list of intervals, each a pair of integers, and gives the shortest list of intervals that covers the same ' +
      'integers, sorted by their starts. Intervals that touch are joined. The list may be empty, and intervals may come in any order. Add tests for an empty ' +
      'list, for one interval inside another, and for two that touch.',
  },
] as const;

/** JSON of a chat request. @param model as the gateway in question calls it */
export const chatBody = (stream: boolean, model: string = UPSTREAM_MODEL): string =>
  JSON.stringify({ model, messages: MESSAGES, max_tokens: 256, temperature: 0, stream });

export interface Taken {
  readonly firstMs: number;
  readonly totalMs: number;
}

export interface Lane {
  readonly name: string;
  /** @throws Error where the answer is not a whole good one */
  ask(stream: boolean): Promise<Taken>;
  close(): void;
}

export interface HttpLane {
  readonly name: string;
  readonly port: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly model?: string;
}

const requestOf = ({ headers = {}, model }: HttpLane, stream: boolean): ChatRequest => ({
  path: CHAT_PATH,
  body: chatBody(stream, model),
  headers,
});

/** One connection, opened anew when the server has closed it. @param lastWord of the model server's answer */
export const openHttpLane = (options: HttpLane, lastWord: string): Lane => {
  const requests = { true: requestOf(options, true), false: requestOf(options, false) } as const;
  let connection: ChatConnection | undefined;
  return {
    name: options.name,
    ask: async (stream) => {
      if (connection?.usable !== true) connection = await ChatConnection.open(options.port);
      const reply = await connection.ask(requests[`${stream}`]);
      if (reply.status !== 200 || !reply.body.includes(lastWord))
        throw new Error(`${options.name} answered ${reply.status}: ${reply.body.slice(0, 300)}`);
      return reply;
    },
    close: () => connection?.close(),
  };
};

/** `ModelGateway.ask` in this process: what choosing, calling and accounting take, without HTTP before them. */
export const openPortLane = async (name: string, upstreamPort: number, dir: string): Promise<Lane> => {
  const { config, baseDir } = configurationOf({ version: 1, models: [modelEntry(upstreamPort)] }, dir);
  const gateway = await openModelGateway({ models: config.models, baseDir, env: {}, node: 'bench', onCall: () => {} });
  const signal = new AbortController().signal;
  return {
    name,
    ask: async () => {
      const begin = performance.now();
      let first: number | undefined;
      const onText = (): void => {
        first ??= performance.now();
      };
      await gateway.ask(
        {
          messages: MESSAGES,
          max_tokens: 256,
          temperature: 0,
          purpose: 'chat',
          tier: 'small',
          domain: 'general',
          model: UPSTREAM_MODEL,
          onText,
        },
        signal,
      );
      const end = performance.now();
      return { firstMs: (first ?? end) - begin, totalMs: end - begin };
    },
    close: () => void gateway.close(),
  };
};
