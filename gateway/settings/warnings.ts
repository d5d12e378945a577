// What is worth saying of a setting that fits: names of models that are not there. Pure.
import { unmatchedModels } from '../../models/index.js';
import type { Effective } from '../../processors/settings/index.js';
import type { ConfigKey, Servers } from '../../schemas/index.js';

/** Of the value of `key` that holds. */
export const warningsOf = (key: ConfigKey, effective: Effective, models: Servers['models']): readonly string[] => {
  const { routing, access, prices } = effective;
  const named = key === 'routing' ? { routing } : key === 'access' ? { access } : key === 'prices' ? { prices } : {};
  return unmatchedModels(named, models).map(({ path, message }) => `${path.join('.')}: ${message}`);
};
