import { describe, expect, it } from 'vitest';
import { serversSchema } from '../../schemas/index.js';
import { impactNodes, impactOf, pricingOf } from './index.js';
import { openCascadeWorld, requestOf } from './testing/cascade-world.js';

const MODELS = [
  { id: 'beside', runner: 'scripted', tiers: ['small'], price_input_per_mtok: 1e5, price_output_per_mtok: 0 },
  { id: 'free', runner: 'scripted', tiers: ['small'], price_input_per_mtok: 0 },
];
const LIST = [{ model: 'gone', provider: 'scripted', input_per_mtok: 0, output_per_mtok: 2e5 }];
const servers = serversSchema.parse({ version: 1, models: MODELS, prices: { version: 'v', models: LIST } });
const pricing = pricingOf(servers);

describe('the price of what was done', () => {
  const of = (model: string, provider = 'scripted') => pricing({ model, provider, tokensIn: 0, tokensOut: 0, modelMs: 0 })?.output_per_mtok;

  it('is what stands beside the model, else what the list says, of models that are gone too; else nobody knows', () => {
    expect([of('beside'), of('free'), of('gone'), of('gone', 'other'), of('never')]).toEqual([0, 0, 2e5, undefined, undefined]);
  });
});

describe('an impact', () => {
  it('counts each artifact and each execution once, by depth and by mark', () => {
    const world = openCascadeWorld(() => undefined);
    const root = world.make('a', { 'a.py': 'A', 'b.py': 'B' }, [], { model: 'beside' });
    const both = Object.values(root);
    const next = world.make('c', { 'c.py': 'C' }, both, { model: 'gone' })['c.py']!;
    const again = world.make('a2', { 'a.py': 'A2' }, [next, root['a.py']!], { model: 'never', open: true })['a.py']!;
    world.append('dats.cascade.requested', requestOf('x', { artifact_id: root['a.py']! }));
    for (let turns = 0; turns < 6; turns++) world.turn();
    const { project } = world;
    const found = impactOf(
      project,
      [...both, both[0]!].map((id) => project.graph.indexOf(id)),
      {},
      pricing,
    );
    expect(found.impact).toEqual({
      project_id: 'p',
      roots: 2,
      artifacts: 4,
      tasks: 3,
      open_tasks: 1,
      paths: 3,
      depth: 1,
      by_depth: [2, 2],
      // a.py itself and its next version; what was read beside waits for its check.
      by_mark: { clean: 1, suspect: 1, tainted: 2 },
      // 10 tokens in and 5 out each: 1 USD, 1 USD, and one that nobody knows.
      forecast: { executions: 3, tokens: 45, model_ms: 9, cost_usd: 2, unpriced: 1 },
      cut: false,
    });
    expect(impactNodes(project, found, 'down', 3).map(({ artifact_id, edge, head }) => [artifact_id, edge, head])).toEqual([
      [both[0], null, true],
      [both[1], null, true],
      [next, 'informed', true],
    ]);
    const up = impactOf(project, [project.graph.indexOf(again)], { direction: 'up', maxDepth: 1 }, pricing);
    const nodes = impactNodes(project, up, 'up', 100);
    expect(nodes.map(({ artifact_id, via, edge }) => [artifact_id, via, edge])).toEqual([
      [again, null, null],
      [next, again, 'informed'],
      [root['a.py'], again, 'derived'],
    ]);
    expect(up.impact.cut).toBe(true);
  });

  it('of nothing is nothing, and what nobody made has no task, no path and no price', () => {
    const world = openCascadeWorld();
    world.make('a', { 'a.py': 'A' }, ['elsewhere']);
    world.settle();
    const { project } = world;
    expect(impactOf(project, [], {}, pricing).impact).toMatchObject({
      roots: 0,
      artifacts: 0,
      depth: 0,
      by_depth: [],
      forecast: { cost_usd: null },
    });
    const up = impactOf(project, project.graph.madeBy('a'), { direction: 'up' }, pricing);
    expect(impactNodes(project, up, 'up', 10)[1]).toEqual({
      artifact_id: 'elsewhere',
      task_id: null,
      path: null,
      depth: 1,
      via: project.graph.idOf(project.graph.madeBy('a')[0]!),
      edge: 'informed',
      mark: 'clean',
      head: false,
      model: null,
    });
    expect(up.impact).toMatchObject({ artifacts: 2, tasks: 1, paths: 1, forecast: { executions: 1 } });
  });
});
