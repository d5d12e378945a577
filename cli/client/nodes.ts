// The part of the client that is about nodes, and about where projects are decided.
import { isFault, type NodeCommandAnswer, type NodeView, type ProjectHome } from '../../schemas/index.js';
import type { Http } from './http.js';
import type { Sleep } from './wait.js';

const BASE = '/api/v1';
/** Where the server does not say when to come back. */
const RETRY_MS = 1_000;

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}
export interface NodeList {
  /** The node that was asked. */
  readonly self: string;
  readonly nodes: readonly NodeView[];
}
export interface OperatorNote {
  readonly reason?: string | undefined;
  readonly by?: string | undefined;
}

const at = (...parts: readonly string[]): string => [BASE, ...parts.map(encodeURIComponent)].join('/');
const said = ({ reason, by }: OperatorNote) => ({ ...(reason === undefined ? {} : { reason }), ...(by === undefined ? {} : { by }) });

export const nodesOf = (http: Http, pause: Sleep) => ({
  nodes: ({ signal }: CallOptions = {}): Promise<NodeList> => http.json({ path: at('nodes'), signal }),
  commandNode: (
    node: string,
    what: 'cordon' | 'uncordon' | 'drain',
    { signal, ...note }: OperatorNote & CallOptions = {},
  ): Promise<NodeCommandAnswer> => http.json({ method: 'POST', path: at('nodes', node, what), json: said(note), signal }),
  projectHome: (project: string, { signal }: CallOptions = {}): Promise<ProjectHome> =>
    http.json({ path: at('projects', project, 'home'), signal }),
  moveProject: (project: string, to: string, { signal, ...note }: OperatorNote & CallOptions = {}): Promise<ProjectHome> =>
    http.json({ method: 'POST', path: at('projects', project, 'move'), json: { to, ...said(note) }, signal }),
  /** Waits until the home of a task that was taken elsewhere has said something of it, however long that is. */
  untilAtHome: async (task: string, { signal }: CallOptions = {}): Promise<void> => {
    for (;;) {
      try {
        await http.json({ path: at('tasks', task), signal });
        return;
      } catch (error) {
        if (!isFault(error) || error.code !== 'task_on_its_way') throw error;
        await pause(error.retryAfterMs ?? RETRY_MS, signal);
      }
    }
  },
});
