// Where no server answers: a command opens the data folder itself, with a node of this process behind a door of its own, and closes it again.
//
// F1. Only where nobody listens at the configured address, and the user named no address. F2. Of the data folder and the demo's, the one that was written last.
// F3. The node does what the command needs and no more: to look, only its door; to bring history, the deciders too; to change something, deciders and workers.
// It samples nothing and sends nothing. Other processes may have the folder open. F4. What was opened is said. F5. Looking does not count as writing (F2).
// F6. Before something is changed, it is asked whether anybody listens: once a server was told of a change, no other place is opened. F7. What was begun in a
// folder is over before the folder is closed: nobody else would go on with it. The command is told that it is so (`aside`), and waits.
// F8. A folder that the user names is looked at, whoever answers: its door alone is open, no history of it is asked, and no key is made in it.
import { existsSync, statSync, utimesSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Configuration, Roles, RunningNode } from '../nodes/index.js';
import { Fault, type Lane, toFault } from '../schemas/index.js';
import { createClient, type DatsClient, isRefused, sleep } from './client/index.js';
import { demoDataDir } from './demo/demo-folder.js';
import { badUsage } from './exit.js';
import { ago } from './render/index.js';
import type { Session } from './session.js';

export interface Needs {
  /** What must be in the folder: the log, or history as well. */
  readonly needs: 'log' | 'history';
  /** The deciders too: they bring history. */
  readonly deciders?: boolean;
  /** Something is changed (F6): the lanes of which work is to be done. */
  readonly workers?: readonly Lane[];
  /** Models are asked within budgets, without the deciders. */
  readonly ledger?: boolean;
}
/** For what only looks at the log and its views. */
export const LOOKING = { needs: 'log' } as const satisfies Needs;
/** For what marks or takes back: suspects are checked again; nothing is made. */
export const CHANGING = { needs: 'log', deciders: true, workers: ['qa', 'analysis'] } as const satisfies Needs;

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

/** The settings of the demo; where work is done, with the models that the demo asks. What may be asked of history is what the user allows. */
const demoSettings = async ({ io }: Session, dir: string, own: Configuration, changes: boolean): Promise<Configuration> => {
  const { packageRoot } = await import('../nodes/index.js');
  const { demoConfiguration } = await import('./demo/demo.js');
  const { config, ...demo } = demoConfiguration(io, packageRoot(), dir, !changes);
  return { ...demo, config: { ...config, analytics: { ...config.analytics, query: own.config.analytics.query } } };
};

const candidatesOf = async (session: Session, changes: boolean): Promise<readonly Candidate[]> => {
  const { io } = session;
  const { analyticsKind, loadConfiguration } = await import('../nodes/index.js');
  const own = loadConfiguration({ env: io.env, cwd: io.cwd });
  const { node, log } = own.config;
  const dir = demoDataDir(node.data_dir);
  const demo = await demoSettings(session, dir, own, changes);
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

type Use<T> = (client: DatsClient, aside: boolean) => Promise<T>;

const openedAside = async <T>(session: Session, url: string, wanted: Needs, use: Use<T>): Promise<T> => {
  const { deciders = false, workers = [], ledger } = wanted;
  const found = chosen(session, url, await candidatesOf(session, workers.length > 0), wanted);
  const work = workers.length === 0 ? '' : '; what is open in it goes on until this is done';
  session.note(`no server answers at ${url}: opened ${shown(session, found.dir)}, last written ${ago(Date.now() - found.at)}${work}`);
  return opened(session, found, { gateway: true, deciders, workers, ...(ledger === undefined ? {} : { ledger }) }, (client) =>
    use(client, true),
  );
};

type Opened = Pick<Candidate, 'dir' | 'configuration'> & { readonly at: number };

const opened = async <T>(
  session: Session,
  { dir, configuration, at }: Opened,
  roles: Roles,
  use: (client: DatsClient, node: RunningNode) => Promise<T>,
): Promise<T> => {
  const startNode = await session.deps.loadStartNode();
  const node = await startNode({ configuration, roles, env: session.io.env });
  const whenOpen = writtenAt(dir);
  const broken = new AbortController();
  const pause = session.deps.sleep ?? sleep;
  // A part of the node that fails ends what waits for it, also between two looks.
  const failed = node.failed.then((error) => {
    broken.abort(toFault(error));
    throw broken.signal.reason;
  });
  failed.catch(() => undefined);
  try {
    if (node.url === undefined) throw new Fault('fatal', 'no_gateway', 'the node started without its gateway');
    const client = createClient({
      baseUrl: node.url,
      sleep: (ms, signal) => pause(ms, signal === undefined ? broken.signal : AbortSignal.any([signal, broken.signal])),
    });
    return await Promise.race([use(client, node), failed]);
  } finally {
    const isUntouched = !roles.deciders && writtenAt(dir) === whenOpen;
    await node.stop();
    // F5. To open it counts as a write for the file system. Where that was all, the time stays that of what is in it.
    if (isUntouched) utimesSync(logFile(dir), new Date(), new Date(at));
  }
};

/** Does anybody listen there? Whatever is answered. */
const isThere = async (client: DatsClient, signal: AbortSignal): Promise<boolean> => {
  try {
    await (await client.http.send({ path: '/health/live', signal })).body?.cancel();
    return true;
  } catch (error) {
    return !isRefused(error);
  }
};

/**
 * What `use` gives, of the server, or where none answers of the data folder. To look, `use` may be called twice: a server that is not there has told it
 * nothing. To change something, it is called once.
 * @throws Fault `nothing_to_open`, and what `use` throws
 */
export const withServer = async <T>(session: Session, wanted: Needs, use: Use<T>): Promise<T> => {
  const client = await session.client();
  const aside = (): Promise<T> => openedAside(session, client.baseUrl, wanted, use);
  if (session.addressGiven) return use(client, false);
  if (wanted.workers !== undefined) return (await isThere(client, session.io.signal)) ? use(client, false) : aside();
  try {
    return await use(client, false);
  } catch (error) {
    if (!isRefused(error)) throw error;
    return aside();
  }
};

/** A data folder that the user names, and how it is read. */
export interface NamedFolder {
  readonly dir: string;
  readonly configuration: Configuration;
  /** Of the key that signs there; nothing need be at it. */
  readonly keyFile: string;
}

/** What a demo leaves in its folder. */
const DEMO_MARK = 'demo.json';

/** F8. With the settings of the demo where a demo made it. @throws Fault `bad_usage` where no log is */
export const namedFolder = async (session: Session, name: string): Promise<NamedFolder> => {
  const dir = session.path(name);
  if (!existsSync(logFile(dir)))
    throw badUsage(`${name} is no data folder: there is no log/data.mdb in it; give the folder of node.data_dir`);
  const { loadConfiguration } = await import('../nodes/index.js');
  const own = loadConfiguration({ env: session.io.env, cwd: session.io.cwd });
  const { config, ...rest } = existsSync(join(dir, DEMO_MARK)) ? await demoSettings(session, dir, own, false) : own;
  const { node, log, views, analytics } = config;
  const here = {
    ...config,
    node: { ...node, data_dir: dir },
    log: { ...log, kind: 'lmdb' as const },
    views: { ...views, kind: 'lmdb' as const },
    analytics: { ...analytics, kind: 'none' as const },
  };
  return { dir, configuration: aside({ ...rest, config: here }), keyFile: resolve(dir, config.audit.key_file) };
};

/** What `use` gives of that folder. `keyFile`: instead of its own. */
export const inFolder = async <T>(
  session: Session,
  { dir, configuration }: NamedFolder,
  keyFile: string,
  use: (node: RunningNode) => Promise<T>,
): Promise<T> => {
  const { config } = configuration;
  const at = writtenAt(dir) ?? Date.now();
  session.note(`opened ${shown(session, dir)}, last written ${ago(Date.now() - at)}`);
  const settings = { ...configuration, config: { ...config, audit: { ...config.audit, key_file: keyFile } } };
  return opened(session, { dir, configuration: settings, at }, { gateway: true, deciders: false, workers: [] }, (_client, node) =>
    use(node),
  );
};
