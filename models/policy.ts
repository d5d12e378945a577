// By what models are chosen, as the configuration says it now, made ready for use: patterns become ids, prices find their models.
//
// L1. It is read at every ask, so that a change takes effect with the next one. L2. It is made ready once, as long as its parts are the same objects.
// L3. What rules remember of a model outlives a change, as long as the rule has its name and watches the model.
import type { AccessConfig, ModelConfig, Prices, RoutingConfig, Servers } from '../schemas/index.js';
import { accessConfigSchema, flagsConfigSchema, routingConfigSchema } from '../schemas/index.js';
import { type Price, priceOf } from './accounting.js';
import { matchesAny } from './pattern.js';
import { type ReadyRule, type RuleState, readyRules } from './rules.js';

/** What can change while the process runs. Whoever gives it gives the same objects as long as nothing changed. */
export interface ModelPolicy {
  /** Which configuration it is; stands in every decision. */
  readonly version: string;
  readonly routing: RoutingConfig;
  readonly access: AccessConfig;
  readonly prices: Prices;
  readonly flags: Servers['flags'];
}

export const NO_PRICES: Prices = { version: 'none', models: [] };

/** What holds where nobody says otherwise. */
export const defaultPolicy = (prices: Prices = NO_PRICES): Omit<ModelPolicy, 'version'> => ({
  routing: routingConfigSchema.parse({}),
  access: accessConfigSchema.parse({}),
  prices,
  flags: flagsConfigSchema.parse({}),
});

/** A model as the policy sees it. */
export interface Subject {
  readonly config: ModelConfig;
  readonly provider: string;
}

export interface ReadyPolicy {
  readonly version: string | undefined;
  readonly weights: RoutingConfig['weights'];
  readonly rules: readonly ReadyRule[];
  /** A rule watches something, so that its state must be kept. */
  readonly watches: boolean;
  readonly hedging: boolean;
  /** Undefined where nobody says what the model costs. */
  priceOf(id: string): Price | undefined;
  isAllowed(id: string, project: string | undefined): boolean;
  /** May a model that keeps it in the building see what is confidential? */
  maySeeConfidential(id: string, project: string | undefined): boolean;
}

interface Lists {
  readonly allow: readonly string[];
  readonly block: readonly string[];
}

/** `block` beats `allow`; an empty `allow` allows all. Undefined: every model. */
const passing = ({ allow, block }: Lists, ids: readonly string[]): ReadonlySet<string> | undefined =>
  allow.length === 0 && block.length === 0
    ? undefined
    : new Set(ids.filter((id) => !matchesAny(block, id) && (allow.length === 0 || matchesAny(allow, id))));

const accessFor = (access: AccessConfig, ids: readonly string[]): ReadyPolicy['isAllowed'] => {
  const general = passing(access, ids);
  const projects = new Map(Object.entries(access.projects).map(([project, lists]) => [project, passing(lists, ids)]));
  return (id, project) => {
    if (general !== undefined && !general.has(id)) return false;
    const own = project === undefined ? undefined : projects.get(project);
    return own === undefined || own.has(id);
  };
};

const confidentialFor = (access: AccessConfig, models: readonly Subject[], self: string): ReadyPolicy['maySeeConfidential'] => {
  const nodeOf = new Map(models.map(({ config }) => [config.id, config.node ?? self]));
  return (id, project) => {
    const nodes = (project === undefined ? undefined : access.projects[project]?.confidential_nodes) ?? access.confidential_nodes;
    return nodes === undefined || nodes.includes(nodeOf.get(id)!);
  };
};

type Parts = Omit<ModelPolicy, 'version'> & { readonly version?: string };

const makeReady = ({ version, routing, access, prices, flags }: Parts, models: readonly Subject[], self: string): ReadyPolicy => {
  const ids = models.map(({ config }) => config.id);
  const priced = new Map(models.map(({ config, provider }) => [config.id, priceOf(config, provider, prices)]));
  return {
    version,
    weights: routing.weights,
    rules: readyRules(routing.rules, ids),
    watches: routing.rules.some(({ watch }) => watch !== undefined),
    hedging: flags.hedging,
    priceOf: (id) => priced.get(id),
    isAllowed: accessFor(access, ids),
    maySeeConfidential: confidentialFor(access, models, self),
  };
};

/** L1, L2. `self`: the node that this is. `read` undefined: `fixed` holds, and decisions name no version. */
export const openPolicy = (
  read: (() => ModelPolicy) | undefined,
  fixed: Omit<ModelPolicy, 'version'>,
  models: readonly Subject[],
  self = 'local',
): (() => ReadyPolicy) => {
  let parts: Parts = fixed;
  let ready = makeReady(fixed, models, self);
  if (read === undefined) return () => ready;
  return () => {
    const now = read();
    const same =
      now.version === parts.version &&
      now.routing === parts.routing &&
      now.access === parts.access &&
      now.prices === parts.prices &&
      now.flags === parts.flags;
    if (!same) {
      parts = now;
      ready = makeReady(now, models, self);
    }
    return ready;
  };
};

/** L3. */
export const carriedOver = (state: RuleState, rules: readonly ReadyRule[]): RuleState => {
  const kept = new Map<string, ReadonlySet<string>>();
  for (const { rule, watched } of rules) {
    const over = [...(state.get(rule.name) ?? [])].filter((id) => watched.has(id));
    if (over.length > 0) kept.set(rule.name, new Set(over));
  }
  return kept;
};
