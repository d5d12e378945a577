// What things are called outside: URNs, as the product has no domain of its own. `urn:dats:` is also how the schemas of events are named.

/** How a generation is recorded: the meaning of the SLSA parameters, README.md. */
export const BUILD_TYPE = 'urn:dats:attestation:generation:v1';
export const BUILDER_ID = 'urn:dats:builder:generation';

const KINDS = [
  'artifact',
  'attempt',
  'cascade',
  'content',
  'event',
  'execution',
  'model',
  'processor',
  'prompt',
  'qa-profile',
  'rollback',
  'submitter',
] as const;
export type NameKind = (typeof KINDS)[number];

/** Everything but letters, digits, `.`, `_`, `-` as percent-encoded UTF-8: it stands in URNs and in qualified names of PROV alike. */
const encoded = (text: string): string =>
  encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD')).replace(
    /[!'()*~]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );

export const namespaceOf = (kind: NameKind): string => `urn:dats:${kind}:`;
/** Parts are joined by `/`, which stands in none of them. */
export const localName = (...parts: readonly string[]): string => parts.map(encoded).join('/');
export const urn = (kind: NameKind, ...parts: readonly string[]): string => namespaceOf(kind) + localName(...parts);

/** The names of a model's builds are free text; some are SHA-256 digests. */
export const digestOfModel = (build: string | undefined): { readonly sha256: string } | undefined => {
  const hex = /^(?:sha256:)?([0-9a-f]{64})$/.exec(build ?? '')?.[1];
  return hex === undefined ? undefined : { sha256: hex };
};
