import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeEntry } from '../../schemas/index.js';
import { homesIn, projectsOf } from './index.js';

const CORE: NodeEntry = { id: 'core', url: 'http://core:8080' };
const edge = (id: string, projects?: string[]): NodeEntry => ({ id, token_env: 'T', ...(projects === undefined ? {} : { projects }) });
const homes = (self: string, nodes: NodeEntry[]) => homesIn({ node: { id: self } as never, nodes });

describe('homes', () => {
  it('of projects that carry the name of an edge node are there, of all others at the core', () => {
    const { homeOf, core, edges } = homes('core', [CORE, edge('edge-1'), edge('edge-2')]);
    expect(['edge-1', 'edge-1-x', 'edge-2-y', 'edge-11', 'edge', 'docs'].map(homeOf)).toEqual([
      'edge-1',
      'edge-1',
      'edge-2',
      'core',
      'core',
      'core',
    ]);
    expect([core?.id, edges.map(({ id }) => id)]).toEqual(['core', ['edge-1', 'edge-2']]);
  });

  it('are where the first node says that they are', () => {
    const { homeOf } = homes('core', [edge('van', ['field-*', 'x']), CORE, edge('lab', ['*-lab', 'field-1'])]);
    expect(['field-1', 'x', 'field-lab', 'a-lab', 'van'].map(homeOf)).toEqual(['van', 'van', 'van', 'lab', 'core']);
  });

  it('are all here where this is the only node', () => {
    const { isHere, homeOf, core, edges } = homes('alone', []);
    expect([isHere('any'), homeOf('any'), core, edges]).toEqual([true, 'alone', undefined, []]);
  });

  it('are the same whoever asks, and one for each project', () => {
    const name = fc.constantFrom('a', 'b', 'a-1', 'b-2', 'docs', 'a-b');
    const pattern = fc.constantFrom('a', 'a-*', '*-1', '*', 'b-*', 'docs');
    const lists = fc.uniqueArray(fc.record({ id: fc.constantFrom('e1', 'e2', 'e3', 'a', 'b'), patterns: fc.option(fc.array(pattern)) }), {
      selector: ({ id }) => id,
      maxLength: 4,
    });
    fc.assert(
      fc.property(lists, fc.nat(4), name, (list, at, project) => {
        const nodes = list.map(({ id, patterns }) => edge(id, patterns ?? undefined));
        nodes.splice(Math.min(at, nodes.length), 0, CORE);
        const said = nodes.map(({ id }) => homes(id, nodes));
        expect(new Set(said.map(({ homeOf }) => homeOf(project))).size).toBe(1);
        expect(said.filter(({ isHere }) => isHere(project))).toHaveLength(1);
      }),
    );
  });

  it('of an edge node without patterns are its id and what begins with it and a dash', () => {
    expect(projectsOf(edge('van'))).toEqual(['van', 'van-*']);
    expect(projectsOf(edge('van', []))).toEqual([]);
  });
});
