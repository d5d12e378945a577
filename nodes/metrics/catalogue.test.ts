import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CATALOGUE, type Definition } from './catalogue.js';

const all: readonly Definition[] = Object.values(CATALOGUE);

it('names follow the conventions of Prometheus: prefix, base unit, _total on counters and on nothing else', () => {
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  for (const { name, type, labels, help } of all) {
    expect(name).toMatch(/^(dats|gen_ai_client)_[a-z0-9_]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|mb|percent)(_|$)/);
    if (type === 'histogram' && name !== 'gen_ai_client_token_usage') expect(name).toMatch(/_seconds$/);
    for (const label of labels) expect(label, name).toMatch(/^[a-z][a-z0-9_]*$/);
    for (const label of ['le', 'quantile']) if (type !== 'gauge') expect(labels, name).not.toContain(label);
    expect(help, name).toMatch(/^[A-Z1].*\.$/);
  }
});

it('no label is the id of a task, a trace, a user or a project', () => {
  const identities = /task_id|trace|user|actor|project|correlation|worker|attempt|^id$/;
  expect(all.flatMap(({ labels }) => labels).filter((label) => identities.test(label))).toEqual([]);
});

it('buckets rise', () => {
  for (const { name, buckets = [] } of all)
    expect(
      [...buckets].sort((a, b) => a - b),
      name,
    ).toEqual(buckets);
});

it('the README lists all of them as they are', () => {
  const readme = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
  const listed = [...readme.matchAll(/^\| `((?:dats|gen_ai)_\w+)` +\| (\w+) +\| (.*?) *\| (.+?) *\|$/gm)].map(
    ([, name, type, labels, help]) => ({
      name,
      type,
      labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label),
      help,
    }),
  );
  expect(listed).toEqual(all.map(({ name, type, labels, help }) => ({ name, type, labels: [...labels], help })));
});
