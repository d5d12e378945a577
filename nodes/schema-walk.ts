// Walks the zod schema of servers.yaml: which keys stand where, and which single values an environment variable can set.
import type { z } from 'zod';
import { serversSchema } from '../schemas/index.js';

type Def = { readonly type: string; readonly innerType?: z.ZodType; readonly element?: z.ZodType; readonly valueType?: z.ZodType };
const defOf = (schema: z.ZodType): Def => schema.def as unknown as Def;

const unwrap = (schema: z.ZodType): z.ZodType => {
  const inner = defOf(schema).innerType;
  return inner === undefined ? schema : unwrap(inner);
};
const shapeOf = (schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined =>
  defOf(schema).type === 'object' ? (schema as unknown as { shape: Record<string, z.ZodType> }).shape : undefined;

export type Path = readonly (string | number)[];

/** The keys an object at `path` may have; empty where there is no object. */
export const knownKeys = (path: Path): readonly string[] => {
  let schema: z.ZodType | undefined = serversSchema;
  for (const step of path) {
    if (schema === undefined) return [];
    const here: z.ZodType = unwrap(schema);
    const shape = shapeOf(here);
    if (shape !== undefined) schema = Object.hasOwn(shape, step) ? shape[step] : undefined;
    else schema = typeof step === 'number' ? defOf(here).element : defOf(here).valueType;
  }
  return schema === undefined ? [] : Object.keys(shapeOf(unwrap(schema)) ?? {});
};

export interface Leaf {
  readonly path: Path;
  readonly kind: 'number' | 'boolean' | 'list' | 'text';
}

/** Every single value, with lists of objects expanded to the entries that are there. Maps with free keys are not reachable. */
export const leaves = (entries: (path: Path) => number): readonly Leaf[] => {
  const found: Leaf[] = [];
  const walk = (schema: z.ZodType, path: Path): void => {
    const here = unwrap(schema);
    const { type, element } = defOf(here);
    const shape = shapeOf(here);
    if (shape !== undefined) for (const [key, child] of Object.entries(shape)) walk(child, [...path, key]);
    else if (type === 'array' && element !== undefined && shapeOf(unwrap(element)) !== undefined)
      for (let i = 0; i < entries(path); i++) walk(element, [...path, i]);
    else if (type === 'array') found.push({ path, kind: 'list' });
    else if (type === 'boolean') found.push({ path, kind: 'boolean' });
    else if (type === 'number' || type === 'int' || type === 'literal') found.push({ path, kind: 'number' });
    else if (type !== 'record') found.push({ path, kind: 'text' });
  };
  walk(serversSchema, []);
  return found;
};
