import { describe, expect, it } from 'vitest';
import { asNode } from './own-sections.js';

const file = () => ({
  version: 1,
  node: { id: 'core', data_dir: './data' },
  gateway: { port: 8080, host: '127.0.0.1' },
  models: [{ id: 'big' }, { id: 'small' }],
  nodes: [
    { id: 'core', url: 'http://core' },
    {
      id: 'edge-1',
      token_env: 'T',
      own: { models: [{ id: 'tiny' }], gateway: { port: 9090 }, log: { partitions: 2 }, node: { data_dir: './edge' } },
    },
  ],
});

describe('one file for all nodes', () => {
  it('says to a node what stands under `own` of its entry in the place of what stands above', () => {
    expect(asNode(file(), 'edge-1')).toEqual({
      ...file(),
      node: { id: 'core', data_dir: './edge' },
      gateway: { port: 9090, host: '127.0.0.1' },
      models: [{ id: 'tiny' }],
      log: { partitions: 2 },
    });
  });

  it('says to others what stands above', () => {
    expect([asNode(file(), 'core'), asNode(file(), undefined), asNode(file(), ''), asNode(file(), 'unknown')]).toEqual([
      file(),
      file(),
      file(),
      file(),
    ]);
  });

  it('asks the file who this is where nobody else says', () => {
    const said = { ...file(), node: { id: 'edge-1' } };
    expect(asNode(said, undefined)).toMatchObject({ models: [{ id: 'tiny' }] });
  });

  it('keeps the list of nodes and the version the same for all', () => {
    const said = file();
    Object.assign(said.nodes[1]!.own!, { nodes: [], version: 2 });
    expect(asNode(said, 'edge-1')).toMatchObject({ version: 1, nodes: said.nodes });
  });

  it('does not change what it was given', () => {
    const said = file();
    asNode(said, 'edge-1');
    expect(said).toEqual(file());
  });

  it.each([
    [null],
    ['text'],
    [[]],
    [{ nodes: 'none' }],
    [{ nodes: [null, 7, { id: 'a', own: 'x' }], node: { id: 'a' } }],
    [{ nodes: [{ id: 'a', own: {} }], node: 7 }],
  ])('leaves %j for the schema to judge', (said) => {
    expect(asNode(said, 'a')).toEqual(said);
  });
});
