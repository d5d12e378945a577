import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Panel, readDashboards } from '../prometheus/testing/queries.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const sourcesIn = (path: string): string[] =>
  parse(read(path)).datasources.map(({ type, uid }: { type: string; uid: string }) => `${type} ${uid}`);
const overlap = (a: Panel['gridPos'], b: Panel['gridPos']): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

const FOLDERS = [
  ['./dashboards/', './provisioning/datasources/dats.yaml'],
  ['./clickhouse/', './clickhouse/datasource.yaml'],
] as const;

describe.each(FOLDERS)('the dashboards in %s', (folder, sources) => {
  const dashboards = [...readDashboards(new URL(folder, import.meta.url)).values()];

  it('have identities of their own, and panels that ask something of a provisioned data source', () => {
    expect(dashboards.length).toBeGreaterThan(0);
    const provisioned = sourcesIn(sources);
    for (const { title, uid, schemaVersion, panels } of dashboards) {
      expect(uid).toMatch(/^dats-[a-z]+$/);
      expect(schemaVersion).toBeGreaterThanOrEqual(39);
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      for (const panel of panels.filter(({ type }) => type !== 'row')) {
        const where = `${title}: ${panel.title}`;
        expect(provisioned, where).toContain(`${panel.datasource?.type} ${panel.datasource?.uid}`);
        const targets = panel.targets ?? [];
        expect(targets.length, where).toBeGreaterThan(0);
        expect(new Set(targets.map(({ refId }) => refId)).size, where).toBe(targets.length);
        for (const { expr, rawSql } of targets) expect((expr ?? rawSql ?? '').length, where).toBeGreaterThan(5);
      }
    }
  });

  it('lay no panel over another, or beside the screen', () => {
    for (const { title, panels } of dashboards)
      for (const [i, panel] of panels.entries()) {
        expect(panel.gridPos.x + panel.gridPos.w, `${title}: ${panel.title}`).toBeLessThanOrEqual(24);
        const under = panels.slice(i + 1).find((other) => overlap(panel.gridPos, other.gridPos));
        expect(under?.title, `${title}: ${panel.title}`).toBeUndefined();
      }
  });
});

it('dashboards are provisioned from where the compose file puts them', () => {
  const [{ options }] = parse(read('./provisioning/dashboards/dats.yaml')).providers;
  const { services } = parse(read('../compose/compose.yaml'), { merge: true });
  const mounts = services.grafana.volumes.map((volume: string) => volume.split(':'));
  expect(mounts).toContainEqual(['../grafana/dashboards', options.path, 'ro']);
  expect(mounts).toContainEqual(['../grafana/provisioning', '/etc/grafana/provisioning', 'ro']);
});
