// What a user asks of a project goes to where the project is decided: into the log here, or into the outbox for its home.
import { HOMES_GROUP, type HomeNow, homeNow } from '../../processors/link/index.js';
import { type DatsEvent, LIFECYCLE, MOVES_KNOWN, OUTBOX, partitionOf, timeoutSignal } from '../../schemas/index.js';
import { type Outgoing, outgoing, pause } from '../../streams/index.js';
import type { GatewayDeps } from '../deps.js';
import { refuse } from '../problem.js';

type Deps = Partial<Pick<GatewayDeps, 'nodes'>> & Pick<GatewayDeps, 'log' | 'views'>;

/** Where a project is decided, where that is another node. */
const elsewhere = async ({ nodes, views }: Deps, project: string): Promise<HomeNow | undefined> => {
  if (nodes === undefined) return undefined;
  const now = await homeNow(views, nodes, project);
  return now.home === nodes.self ? undefined : now;
};

/** The home of a project, where that is another node. */
export const homeElsewhere = async (deps: Deps, project: string): Promise<string | undefined> => (await elsewhere(deps, project))?.home;

/** @param what is to be asked for there @throws Fault `decided_elsewhere` */
export const checkHere = async (deps: Deps, project: string, what: string): Promise<void> => {
  const home = await homeElsewhere(deps, project);
  if (home === undefined) return;
  const where = home === deps.nodes!.core?.id ? `at ${deps.nodes!.core.url}` : 'there';
  throw refuse('decided_elsewhere', `project "${project}" is decided on node "${home}"; ask for ${what} ${where}`);
};

/** What is made of the decisions themselves needs all of them to be this node's. @throws Fault `decided_elsewhere` */
export const checkAlwaysHere = async (deps: Deps, project: string, what: string): Promise<void> => {
  await checkHere(deps, project, what);
  if (deps.nodes === undefined) return;
  const { moves } = await homeNow(deps.views, deps.nodes, project);
  if (moves > 0)
    throw refuse(
      'decided_elsewhere',
      `a part of what project "${project}" is made of was decided on other nodes: there are no ${what} of it`,
    );
};

/** Where a node is to be asked. Of edge nodes nobody knows an address, but the core knows what they say. */
export const whereIs = ({ nodes }: Pick<Deps, 'nodes'>, node: string): string => {
  const core = nodes?.core;
  if (core?.url === undefined) return 'there';
  return node === core.id ? `at ${core.url}` : `there, or at the core, ${core.url}`;
};

/** Longest that somebody waits for what was asked before, in milliseconds. */
const BEFORE_MS = 5_000;
const LOOK_MS = 20;

/** By log, and project: after so many moves nothing that was asked here is left to be sent on. */
const sentOn = new WeakMap<object, Map<string, number>>();

/**
 * What was asked here while it was not known yet that the project had moved lies in the log, and is sent on by whoever keeps the homes. It goes first. False when that
 * takes too long: then this goes the same way.
 */
const isAfterThose = async ({ log }: Deps, project: string, { moves }: HomeNow): Promise<boolean> => {
  const known = sentOn.get(log) ?? new Map<string, number>();
  sentOn.set(log, known);
  if ((known.get(project) ?? 0) >= moves) return true;
  const partition = partitionOf(project, log.partitions(LIFECYCLE));
  const { end } = await log.range(LIFECYCLE, partition);
  const late = timeoutSignal(BEFORE_MS);
  while (!late.aborted) {
    const lags = await log.lag(HOMES_GROUP, [LIFECYCLE]);
    if (lags.some((one) => one.partition === partition && one.committed >= end)) {
      known.set(project, moves);
      return true;
    }
    await pause(LOOK_MS, late);
  }
  return false;
};

const recordFor = (event: DatsEvent, home: HomeNow | undefined): Outgoing => {
  if (home === undefined) return outgoing(LIFECYCLE, event);
  const { topic, key, value, headers } = outgoing(OUTBOX, event, home.home);
  return { topic, key, value, headers: { ...headers, [MOVES_KNOWN]: `${home.moves}` } };
};

/** Where what users ask of a project is to go, where that is another node. */
const wayTo = async (deps: Deps, project: string): Promise<HomeNow | undefined> => {
  const home = await elsewhere(deps, project);
  return home === undefined || (await isAfterThose(deps, project, home)) ? home : undefined;
};

/** The record that brings an event to its project. The outbox keeps it until the home has it, however long that is cut off. */
export const toHome = async (deps: Deps, event: DatsEvent): Promise<Outgoing> => recordFor(event, await wayTo(deps, event.projectid));

export interface SentHome {
  readonly record: Outgoing;
  /** Where it goes, where that is another node. */
  readonly home?: string;
}

/** The same of many, in their order. */
export const allToHome = async (deps: Deps, events: readonly DatsEvent[]): Promise<readonly SentHome[]> => {
  const homes = new Map<string, HomeNow | undefined>();
  for (const { projectid } of events) if (!homes.has(projectid)) homes.set(projectid, await wayTo(deps, projectid));
  return events.map((event) => {
    const home = homes.get(event.projectid);
    return home === undefined ? { record: recordFor(event, home) } : { record: recordFor(event, home), home: home.home };
  });
};
