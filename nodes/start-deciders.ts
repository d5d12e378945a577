// The role that decides, and what is folded of the log beside it: views, history, traces.
import type { Nodes } from '../gateway/index.js';
import { auditHistory } from '../processors/audit/index.js';
import { runCascades } from '../processors/cascade/index.js';
import { runDeciders } from '../processors/host/index.js';
import { type Decider, HISTORY_TOPICS, ingestHistory, materialise } from '../processors/index.js';
import { arrivalsAt, homesDecider } from '../processors/link/index.js';
import { LEDGER_SOURCE, ledgerDecider } from '../processors/quota/index.js';
import { routingDecider } from '../processors/routing/index.js';
import { schedulingDecider } from '../processors/scheduling/index.js';
import { LIFECYCLE, QUOTA, TELEMETRY } from '../schemas/index.js';
import { GROUPS, policiesOf, priceOf, routingOf, type Starting, settingsFor } from './starting.js';

const CORE_SOURCE = `/deciders/${GROUPS.deciders}`;
const consumedBy = (deciders: readonly Decider[]): ReadonlySet<string> => new Set(deciders.flatMap(({ consumes }) => consumes));
/** While this node takes no new work it is looked so often whether it does again, in milliseconds. */
const HELD_MS = 500;
/** The audit takes what has come in so long at once; milliseconds. */
const AUDIT_PAUSE_MS = 250;

export const startLedger = async ({ options: { now }, settings, problem, serve }: Starting): Promise<void> => {
  const ledger = {
    group: GROUPS.quota,
    source: LEDGER_SOURCE,
    configVersion: settingsFor(settings).configVersion,
    now,
    deciders: [ledgerDecider(() => settings.current().quotas) as Decider],
    onProblem: problem('ledger'),
  };
  await serve(GROUPS.quota, [QUOTA], (assignment) => runDeciders(assignment, ledger));
};

export const startDeciders = async (starting: Starting, nodes: Nodes | undefined): Promise<void> => {
  const { options, log, settings, views, metrics, analytics, tracing, key, admission, load, problem, serve } = starting;
  const { config, now } = options;
  const { configVersion, promptVersions, known } = settingsFor(settings);
  const routing = routingDecider(policiesOf(settings, routingOf(config)), promptVersions);
  const budgets = { quotas: () => settings.current().quotas, price: priceOf(config, settings) };
  const scheduling = schedulingDecider(
    policiesOf(settings, (effective) => effective.scheduling),
    promptVersions,
    budgets,
    nodes?.self,
    { isOn: () => !admission.isOpen(), lookAgainMs: () => now() + HELD_MS },
  );
  const homes = nodes === undefined ? [] : [homesDecider(nodes) as Decider];
  const deciders: readonly Decider[] = [...homes, routing as Decider, scheduling as Decider];
  const run = {
    group: GROUPS.deciders,
    source: CORE_SOURCE,
    configVersion,
    known,
    now,
    deciders,
    ...(nodes === undefined ? {} : { arrivals: arrivalsAt({ log, homes: nodes, source: CORE_SOURCE, consumes: consumedBy(deciders) }) }),
    onProblem: problem('deciders'),
  };
  await serve(GROUPS.deciders, [LIFECYCLE], (assignment) => runDeciders(assignment, { ...run, onCommitted: metrics.lifecycle() }));
  await startLedger(starting);
  await serve(GROUPS.views, [LIFECYCLE], (assignment) => materialise(assignment, { log, views, onProblem: problem('views') }));
  const cascades = {
    log,
    views,
    policy: config.cascade,
    ...(nodes === undefined ? {} : { homes: nodes }),
    configVersion,
    now,
    onProblem: problem('cascades'),
  };
  await serve(GROUPS.cascade, [LIFECYCLE], (assignment) => runCascades(assignment, cascades));
  const audit = {
    pauseMs: AUDIT_PAUSE_MS,
    log,
    key,
    partitions: log.partitions(LIFECYCLE),
    configVersion,
    everyEvents: config.audit.every_events,
    everyMs: config.audit.every_s * 1000,
    load,
    onProblem: problem('audit'),
  };
  await serve(GROUPS.audit, [LIFECYCLE], (assignment) => auditHistory(assignment, audit));
  if (tracing !== undefined) await serve(GROUPS.traces, [LIFECYCLE, TELEMETRY], tracing.export);
  if (analytics === undefined) return;
  const { store, generation } = analytics;
  const history = {
    log,
    analytics: store,
    generation,
    flushMs: config.analytics.flush_ms,
    load,
    onProblem: problem('history'),
  };
  await serve(GROUPS.history, HISTORY_TOPICS, (assignment) => ingestHistory(assignment, history));
};
