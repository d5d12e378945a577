import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { askedBy } from './testing/promql.js';
import { promQueries, readRules } from './testing/queries.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
/** As GitHub makes a link of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');

describe('the alert rules', () => {
  const rules = readRules();

  it('are named, and say how bad it is, what it is and where to read what to do', () => {
    expect(rules.length).toBeGreaterThan(8);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, expr, labels, annotations, for: wait = '1m' } of rules) {
      expect(alert).toMatch(/^Dats[A-Z]\w+$/);
      expect(expr.length, alert).toBeGreaterThan(5);
      expect(wait, alert).toMatch(/^\d+[smh]$/);
      expect(['warning', 'critical'], alert).toContain(labels['severity']);
      expect(Object.keys(annotations).sort(), alert).toEqual(['description', 'runbook_url', 'summary']);
    }
  });

  it('each have a section in the runbook, and every section an alert', () => {
    const runbook = read('../../docs/runbook.md');
    const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, heading]) => `docs/runbook.md#${anchorOf(heading!)}`);
    expect([...new Set(rules.map(({ annotations }) => annotations['runbook_url']!))].sort()).toEqual([...sections].sort());
    for (const { alert } of rules) expect(runbook).toContain(`\`${alert}\``);
    for (const section of runbook.split(/^## /m).slice(1))
      for (const part of ['**Means.**', '**Look.**', '**Do.**']) expect(section, section.split('\n')[0]).toContain(part);
  });

  it('speak in their texts only of labels that their expressions keep', () => {
    for (const { alert, expr, annotations } of rules) {
      const used = [
        ...Object.values(annotations)
          .join(' ')
          .matchAll(/\$labels\.(\w+)/g),
      ].map(([, label]) => label!);
      const { groupedBy } = askedBy(expr);
      // A bare selector keeps all of its labels.
      const kept = groupedBy.size === 0 ? new Set(['instance', 'job']) : groupedBy;
      expect(
        used.filter((label) => !kept.has(label)),
        alert,
      ).toEqual([]);
    }
  });
});

describe('the scrape configuration', () => {
  const { scrape_configs, rule_files, global } = parse(read('./prometheus.yml'));
  const { services } = parse(read('../compose/compose.yaml').replace(/\$\{[A-Z0-9_]+:-([^}]*)\}/g, '$1'), { merge: true });

  it('names every DATS process of the compose file, at the port where its metrics are', () => {
    const nodes = Object.entries<{ image: string; command: string[]; environment: Record<string, string> }>(services).filter(
      ([, { image }]) => image === 'dats:local',
    );
    const places = nodes.map(([name, { command, environment }]) =>
      command.includes('gateway')
        ? `${name}:${command[command.indexOf('--port') + 1]}`
        : `${name}:${environment['DATS_TELEMETRY_METRICS_PORT']}`,
    );
    const dats = scrape_configs.find((one: { job_name: string }) => one.job_name === 'dats');
    expect(dats.metrics_path).toBe('/metrics');
    expect(dats.static_configs.flatMap(({ targets }: { targets: string[] }) => targets).sort()).toEqual(places.sort());
  });

  it('reads the rules, and waits longer than a scrape may take', () => {
    expect(rule_files).toEqual(['alerts.yml']);
    expect(Number.parseInt(global.scrape_timeout, 10)).toBeGreaterThan(2);
  });
});

it('what asks for metrics is read as it is meant', () => {
  const asked = askedBy(
    'sum by (a, b) (rate(m_bucket{x="1", y=~"2|\\"3"}[5m])) / on (a) max(n) > 4 and p offset 1h or (q unless q offset 15m)',
  );
  expect([...asked.metrics].map(([name, labels]) => [name, [...labels]])).toEqual([
    ['m_bucket', ['x', 'y']],
    ['n', []],
    ['p', []],
    ['q', []],
  ]);
  expect([...asked.groupedBy]).toEqual(['a', 'b']);
  expect(() => askedBy('m;')).toThrow('cannot read');
  expect(promQueries().length).toBeGreaterThan(50);
});
