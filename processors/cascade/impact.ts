// What can be reached from given artifacts, and what making it anew would take. Pure.
//
// I1. It is what a cascade with these limits can reach at most: what revalidation will clear is in it. I2. The forecast is what it took: tokens and time of the executions
// that made what is reached, each once. What has no price is counted, not guessed.
import { costOf, type Price, priceOf } from '../../models/index.js';
import { type Impact, type ImpactNode, MARKS, type Servers } from '../../schemas/index.js';
import type { Closure, ClosureOptions } from './graph/index.js';
import type { Project, Spent } from './project.js';

export type Pricing = (spent: Spent) => Price | undefined;

/** By what servers.yaml says now, also of models that are in it no more: the price list may have them. */
export const pricingOf = ({ models, prices }: Pick<Servers, 'models' | 'prices'>): Pricing => {
  const known = new Map<string, Price | undefined>();
  return ({ model, provider }) => {
    const key = `${provider}/${model}`;
    if (!known.has(key)) known.set(key, priceOf(models.find(({ id }) => id === model) ?? { id: model }, provider, prices));
    return known.get(key);
  };
};

export interface Impacted {
  readonly impact: Impact;
  readonly closure: Closure;
}

export const impactOf = (project: Project, roots: readonly number[], options: ClosureOptions, pricing: Pricing): Impacted => {
  const { graph, marks, tasks: notes } = project;
  const closure = graph.closure(roots, options);
  /** A task by its number, with one artifact that it made. */
  const tasks = new Map<number, number>();
  const paths = new Set<number>();
  const outputs = new Set<number>();
  const by_mark = Object.fromEntries(MARKS.map((mark) => [mark, 0])) as Impact['by_mark'];
  const by_depth = new Array<number>(closure.nodes.length === 0 ? 0 : closure.depth + 1).fill(0);
  closure.nodes.forEach((index, place) => {
    by_mark[marks.of(index)]++;
    by_depth[closure.depths[place]!]!++;
    if (!graph.has(index)) return;
    tasks.set(graph.taskAt(index), index);
    paths.add(graph.pathAt(index));
    outputs.add(graph.offsetAt(index));
  });
  const impact: Impact = {
    project_id: project.id,
    roots: by_depth[0] ?? 0,
    artifacts: closure.nodes.length,
    tasks: tasks.size,
    open_tasks: [...tasks.values()].filter((index) => notes.get(graph.factAt(index)!.task_id)?.state === 'open').length,
    paths: paths.size,
    depth: closure.depth,
    by_depth,
    by_mark,
    forecast: forecastOf(project, outputs, pricing),
    cut: closure.cut,
  };
  return { impact, closure };
};

/** I2. */
const forecastOf = ({ spent }: Project, outputs: ReadonlySet<number>, pricing: Pricing): Impact['forecast'] => {
  const forecast: Impact['forecast'] = { executions: outputs.size, tokens: 0, model_ms: 0, cost_usd: null, unpriced: 0 };
  for (const offset of outputs) {
    const took = spent.get(offset);
    const price = took === undefined ? undefined : pricing(took);
    if (took !== undefined) {
      forecast.tokens += took.tokensIn + took.tokensOut;
      forecast.model_ms += took.modelMs;
    }
    if (took === undefined || price === undefined) forecast.unpriced++;
    else forecast.cost_usd = (forecast.cost_usd ?? 0) + costOf(price, took.tokensIn, took.tokensOut);
  }
  return forecast;
};

/** The first `limit` of what was reached, nearest first. */
export const impactNodes = (project: Project, { closure }: Impacted, direction: 'down' | 'up', limit: number): readonly ImpactNode[] => {
  const { graph, marks, versions } = project;
  return Array.from(closure.nodes.subarray(0, limit), (index, place) => {
    const fact = graph.factAt(index);
    const via = closure.via[place]!;
    return {
      artifact_id: graph.idOf(index),
      task_id: fact?.task_id ?? null,
      path: fact?.path ?? null,
      depth: closure.depths[place]!,
      via: via < 0 ? null : graph.idOf(via),
      edge: via < 0 ? null : direction === 'down' ? graph.edgeKind(via, index) : graph.edgeKind(index, via),
      mark: marks.of(index),
      head: fact !== undefined && versions.head(fact.path) === index,
      model: fact?.model ?? null,
    };
  });
};
