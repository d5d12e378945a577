// The numbers and choices of cascades, from servers.yaml.
import type { CascadeLimits, Servers, Severity } from '../../schemas/index.js';

export type CascadePolicy = Servers['cascade'];

/** Limits of a cascade that nobody asked for others. */
export const limitsOf = (
  policy: CascadePolicy,
  wished: { readonly [K in keyof CascadeLimits]?: CascadeLimits[K] | undefined } = {},
): CascadeLimits => ({
  max_depth: wished.max_depth ?? policy.max_depth,
  max_artifacts: wished.max_artifacts ?? policy.max_artifacts,
  per_second: wished.per_second ?? policy.per_second,
  revalidations: wished.revalidations ?? policy.revalidations,
  unproven: wished.unproven ?? policy.unproven,
});

const ORDER: readonly Severity[] = ['low', 'medium', 'high', 'critical'];

/** Does an alert of that severity begin a cascade? */
export const beginsCascade = (policy: CascadePolicy, severity: Severity): boolean =>
  policy.on_security_alert !== 'never' && ORDER.indexOf(severity) >= ORDER.indexOf(policy.on_security_alert);
