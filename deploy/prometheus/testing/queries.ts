// Every PromQL expression of the alert rules and the dashboards, with where it stands.
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr?: string; readonly rawSql?: string }[];
}
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
}

const DASHBOARDS = new URL('../../grafana/dashboards/', import.meta.url);
const RULES = new URL('../alerts.yml', import.meta.url);

export const readRules = (): readonly Rule[] =>
  (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);

/** By file name. @param folder of dashboards */
export const readDashboards = (folder: URL = DASHBOARDS): ReadonlyMap<string, Dashboard> =>
  new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Dashboard]),
  );

export const promQueries = (): readonly { readonly where: string; readonly expr: string }[] => [
  ...readRules().map(({ alert, expr }) => ({ where: alert, expr })),
  ...[...readDashboards()].flatMap(([name, { panels }]) =>
    panels.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr }) => (expr === undefined ? [] : [{ where: `${name}: ${title}`, expr }])),
    ),
  ),
];
