// What of a configuration names models that are not there: a slip of the pen, or a model that is gone. Nothing of it is wrong, so nothing is refused. Pure.
//
// W1. A pattern of a list is told by itself; a list of which no pattern matches is told once, with what that does. W2. What leaves no model at all is `grave`.
import type { AccessConfig, ModelConfig, Prices, RoutingConfig } from '../schemas/index.js';
import { matchesAny } from './pattern.js';

export interface Unmatched {
  /** From the root of servers.yaml. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** No model is left for some asks. */
  readonly grave: boolean;
}

/** What names models. */
export interface NamesModels {
  readonly routing?: RoutingConfig;
  readonly access?: AccessConfig;
  readonly prices?: Prices;
}

type Subject = Pick<ModelConfig, 'id' | 'model' | 'provider' | 'runner'>;
type Path = Unmatched['path'];
/** What it does where no pattern of a list matches. */
type Effect = Pick<Unmatched, 'message' | 'grave'>;

const GRAVELY = 'no model may answer:';
const quoted = (patterns: readonly string[]): string => patterns.map((pattern) => `"${pattern}"`).join(', ');

const unmatchedIn = (path: Path, patterns: readonly string[], ids: readonly string[], all?: (names: string) => Effect): Unmatched[] => {
  const lost = patterns.flatMap((pattern, i) => (ids.some((id) => matchesAny([pattern], id)) ? [] : [{ pattern, i }]));
  if (all !== undefined && lost.length > 0 && lost.length === patterns.length)
    return [{ path, ...all(`${quoted(patterns)} ${patterns.length === 1 ? 'matches' : 'match'} no model of servers.yaml`) }];
  return lost.map(({ pattern, i }) => ({ path: [...path, i], message: `"${pattern}" matches no model of servers.yaml`, grave: false }));
};

const inRouting = ({ rules }: RoutingConfig, ids: readonly string[]): Unmatched[] =>
  rules.flatMap(({ name, to, strict, watch }, i) => {
    const at: Path = ['routing', 'rules', i];
    const always = watch === undefined ? 'what the rule holds for' : 'what the rule moves';
    return [
      ...unmatchedIn([...at, 'watch', 'models'], watch?.models ?? [], ids, (none) => ({
        message: `${none}, so the rule "${name}" never holds`,
        grave: false,
      })),
      ...unmatchedIn([...at, 'to'], to, ids, (none) =>
        strict
          ? { message: `${GRAVELY} ${none}, and the rule "${name}" is strict, so ${always} is refused`, grave: true }
          : { message: `${none}, so the rule "${name}" moves nothing`, grave: false },
      ),
    ];
  });

const inAccess = ({ projects, ...general }: AccessConfig, ids: readonly string[]): Unmatched[] => {
  const inLists = (at: Path, { allow, block }: Pick<AccessConfig, 'allow' | 'block'>, whose: string): Unmatched[] => [
    ...unmatchedIn([...at, 'allow'], allow, ids, (none) => ({
      message: `${GRAVELY} ${none}, and only those are allowed ${whose}`,
      grave: true,
    })),
    ...unmatchedIn([...at, 'block'], block, ids),
  ];
  return [
    ...inLists(['access'], general, 'anywhere'),
    ...Object.entries(projects).flatMap(([project, lists]) => inLists(['access', 'projects', project], lists, `in project "${project}"`)),
  ];
};

/** Found as `priceOf` finds it. */
const inPrices = ({ models: entries }: Prices, models: readonly Subject[]): Unmatched[] =>
  entries.flatMap(({ model, provider }, i) => {
    const named = models.filter((one) => one.id === model || (one.model ?? one.id) === model);
    if (named.some((one) => provider === undefined || (one.provider ?? one.runner) === provider)) return [];
    const message =
      named.length === 0 || provider === undefined
        ? `"${model}" is neither the id of a model of servers.yaml nor what its server calls it`
        : `"${model}" of provider "${provider}" is no model of servers.yaml; there it is of ${quoted([...new Set(named.map((one) => one.provider ?? one.runner))])}`;
    return [{ path: ['prices', 'models', i, provider === undefined || named.length === 0 ? 'model' : 'provider'], message, grave: false }];
  });

/** The gravest first. */
export const unmatchedModels = ({ routing, access, prices }: NamesModels, models: readonly Subject[]): readonly Unmatched[] => {
  const ids = models.map(({ id }) => id);
  const found = [
    ...(routing === undefined ? [] : inRouting(routing, ids)),
    ...(access === undefined ? [] : inAccess(access, ids)),
    ...(prices === undefined ? [] : inPrices(prices, models)),
  ];
  return [...found.filter(({ grave }) => grave), ...found.filter(({ grave }) => !grave)];
};
