// One servers.yaml for all nodes: what `own` of this node's entry says, in the place of what stands above.

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Objects field by field, anything else as a whole. */
const merged = (base: unknown, own: unknown): unknown => {
  if (!isObject(base) || !isObject(own)) return own;
  const all: Json = { ...base };
  for (const [name, value] of Object.entries(own)) all[name] = merged(base[name], value);
  return all;
};

/** Sections that are the same on all nodes, or say which one this is. */
const SHARED = new Set(['version', 'nodes']);

/** What the file says to this node. @param id from the environment; default: what the file says */
export const asNode = (said: unknown, id: string | undefined): unknown => {
  if (!isObject(said) || !Array.isArray(said.nodes)) return said;
  const node = isObject(said.node) ? said.node : {};
  const self = id || node.id;
  const entry = said.nodes.find((one): one is Json => isObject(one) && one.id === self);
  if (!isObject(entry?.own)) return said;
  const own = Object.fromEntries(Object.entries(entry.own).filter(([section]) => !SHARED.has(section)));
  return merged(said, own);
};
