// Where no server answers: a command that only looks opens the data folder itself, with a node of this process behind a door of its own, and closes it again.
//
// F1. Only where nobody listens at the configured address, and the user named no address. F2. Of the data folder and the demo's, the one that was written last.
// F3. The node takes part in nothing: its roles are those that the command needs, it samples nothing and sends nothing. Other processes may have the folder
// open. F4. What was opened is said. F5. Looking does not count as writing (F2).
import { existsSync, statSync, utimesSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Configuration, Roles } from '../nodes/index.js';
import { Fault } from '../schemas/index.js';
import { createClient, type DatsClient, isRefused } from './client/index.js';
import { demoDataDir } from './demo/demo-folder.js';
import { ago } from './render/index.js';
import type { Session } from './session.js';

export interface Needs {
  /** What must be in the folder: the log, or history as well. */
  readonly needs: 'log' | 'history';
  /** The deciders too: they bring history. */
  readonly deciders?: boolean;
}

interface Candidate {
  readonly dir: string;
  readonly configuration: Configuration;
  /** History of this folder is to be had: in it, or at a server. */
  readonly hasHistory: boolean;
}

/** The file of the log below `dir` that changes with every write. */
const logFile = (dir: string): string => join(dir, 'log', 'data.mdb');
/** When something was written there, milliseconds since the epoch; undefined where nothing is. */
const writtenAt = (dir: string): number | undefined => statSync(logFile(dir), { throwIfNoEntry: false })?.mtimeMs;

/** The configuration of a node that is there for one command: its door on a free port of loopback (F3). */
const aside = (configuration: Configuration): Configuration => {
  const { gateway, telemetry, ...config } = configuration.config;
  const { otlp_url: _, ...silent } = telemetry;
  return {
    ...configuration,
    config: { ...config, gateway: { ...gateway, host: '127.0.0.1', port: 0 }, telemetry: { ...silent, sample_s: 0, metrics_port: 0 } },
  };
};

const candidatesOf = async ({ io }: Session): Promise<readonly Candidate[]> => {
  const { analyticsKind, configurationOf, loadConfiguration, packageRoot } = await import('../nodes/index.js');
  const own = loadConfiguration({ env: io.env, cwd: io.cwd });
  const { node, log, analytics } = own.config;
  const dir = demoDataDir(node.data_dir);
  const demo = configurationOf(
    { version: 1, node: { id: 'demo', data_dir: dir }, analytics: { query: analytics.query }, models: [] },
    packageRoot(),
  );
  const candidate = (at: string, configuration: Configuration): Candidate => {
    const kind = analyticsKind(configuration.config);
    return {
      dir: at,
      configuration: aside(configuration),
      hasHistory: kind === 'server' || (kind === 'embedded' && existsSync(join(at, 'clickhouse'))),
    };
  };
  return [...(log.kind === 'lmdb' ? [candidate(node.data_dir, own)] : []), candidate(dir, demo)];
};

const shown = ({ io }: Session, dir: string): string => {
  const inside = relative(io.cwd, dir);
  return inside.startsWith('..') ? dir : `./${inside}`;
};

/** F2. @throws Fault terminal `nothing_to_open` */
const chosen = (session: Session, url: string, candidates: readonly Candidate[], { needs }: Needs): Candidate & { readonly at: number } => {
  const there = candidates.flatMap((one) => {
    const at = writtenAt(one.dir);
    const fits = at !== undefined && (needs === 'log' || one.hasHistory);
    return fits ? [{ ...one, at }] : [];
  });
  const [newest] = there.sort((a, b) => b.at - a.at);
  if (newest !== undefined) return newest;
  const places = candidates.map(({ dir }) => shown(session, dir)).join(' nor in ');
  throw new Fault(
    'terminal',
    'nothing_to_open',
    `no server answers at ${url}, and there is no ${needs} in ${places}; start a server with "npm start" or make something to look at with "dats demo", or give the address of a server with --url or DATS_URL`,
  );
};

const openedAside = async <T>(session: Session, url: string, wanted: Needs, use: (client: DatsClient) => Promise<T>): Promise<T> => {
  const { dir, configuration, at } = chosen(session, url, await candidatesOf(session), wanted);
  session.note(`no server answers at ${url}: opened ${shown(session, dir)}, last written ${ago(Date.now() - at)}`);
  const roles: Roles = { gateway: true, deciders: wanted.deciders === true, workers: [] };
  const startNode = await session.deps.loadStartNode();
  const node = await startNode({ configuration, roles, env: session.io.env });
  const whenOpen = writtenAt(dir);
  try {
    if (node.url === undefined) throw new Fault('fatal', 'no_gateway', 'the node started without its gateway');
    return await use(createClient({ baseUrl: node.url }));
  } finally {
    const isUntouched = !roles.deciders && writtenAt(dir) === whenOpen;
    await node.stop();
    // F5. To open it counts as a write for the file system. Where that was all, the time stays that of what is in it.
    if (isUntouched) utimesSync(logFile(dir), new Date(), new Date(at));
  }
};

/**
 * What `use` gives, of the server, or where none answers of the data folder. `use` may be called twice: a server that is not there has told it nothing.
 * @throws Fault `nothing_to_open`, and what `use` throws
 */
export const withServer = async <T>(session: Session, wanted: Needs, use: (client: DatsClient) => Promise<T>): Promise<T> => {
  const client = await session.client();
  try {
    return await use(client);
  } catch (error) {
    if (session.addressGiven || !isRefused(error)) throw error;
    return openedAside(session, client.baseUrl, wanted, use);
  }
};
