// What a client may name as its model, and which tier is asked for it. Pure; no model is asked.
//
// N1. `auto` looks at the user's messages with the same cheap signals as the analysis of tasks. N2. A conversation keeps the highest tier that one of its
// latest messages asked for: a short "go on" does not move it to a weaker model. N3. These names go before a model's id of servers.yaml.
import { classify, signalsOf } from '../../processors/routing/index.js';
import { type Domain, type Servers, TIERS, type Tier } from '../../schemas/index.js';
import { refuseWith } from './errors.js';

export const NAMES: Readonly<Record<string, Tier | 'signals'>> = {
  auto: 'signals',
  'auto:cheap': 'small',
  'auto:best': 'large',
  small: 'small',
  medium: 'medium',
  large: 'large',
};

/** Messages that are looked at, the newest ones. */
const LOOKED_AT = 16;
/** Names that an error lists. */
const LISTED = 50;

export interface Wish {
  readonly tier: Tier;
  readonly domain: Domain;
  /** Then nothing is chosen. */
  readonly model?: string;
}

type Models = Servers['models'];

/** Names first, then the models of servers.yaml that are not hidden by one. */
export const modelIds = (models: Models): readonly string[] => [
  ...Object.keys(NAMES),
  ...models.map(({ id }) => id).filter((id) => !Object.hasOwn(NAMES, id)),
];

const unknownModel = (name: string, models: Models) => {
  const ids = modelIds(models);
  const more = ids.length > LISTED ? `, and ${ids.length - LISTED} more` : '';
  return refuseWith(
    'model_not_found',
    `there is no model "${name.slice(0, 128)}"; there are: ${ids.slice(0, LISTED).join(', ')}${more}. GET /v1/models lists them`,
  );
};

/** @throws Fault `model_not_found` */
export const checkedName = (name: string, models: Models): void => {
  if (!Object.hasOwn(NAMES, name) && !models.some(({ id }) => id === name)) throw unknownModel(name, models);
};

const analysed = (text: string) =>
  classify(signalsOf({ description: text, description_bytes: Buffer.byteLength(text), files: [], inputs: 0, options: {} }));

/** The highest tier of the newest texts, and its domain. */
const fromSignals = (texts: readonly string[]): Pick<Wish, 'tier' | 'domain'> => {
  let best: Pick<Wish, 'tier' | 'domain'> = { tier: 'small', domain: 'general' };
  texts.slice(-LOOKED_AT).forEach((text) => {
    const { tier, domain } = analysed(text);
    if (TIERS.indexOf(tier) >= TIERS.indexOf(best.tier)) best = { tier, domain };
  });
  return best;
};

/**
 * @param texts what the user said, oldest first
 * @throws Fault `model_not_found`
 */
export const wishOf = (name: string, texts: readonly string[], models: Models): Wish => {
  checkedName(name, models);
  const signals = fromSignals(texts);
  const named = NAMES[name];
  if (Object.hasOwn(NAMES, name) && named !== undefined) return named === 'signals' ? signals : { tier: named, domain: signals.domain };
  const tiers = models.find(({ id }) => id === name)!.tiers;
  return { tier: tiers.includes(signals.tier) ? signals.tier : tiers[0]!, domain: signals.domain, model: name };
};
