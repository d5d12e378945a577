// Settings from outside: changing them over HTTP, and when each process of an installation knew of it.
import type { ConfigValue, Problem } from '../../schemas/index.js';
import type { Api, HttpAnswer } from './api.js';

export type Changed = ConfigValue & { readonly changed: boolean } & Problem;

export const change = (api: Api, key: string, value: unknown, ifMatch: string): Promise<HttpAnswer<Changed>> =>
  api.ask<Changed>('PUT', `/api/v1/config/${key}`, value, { 'if-match': ifMatch });

/** A whole value of `scheduling` that nobody else writes. */
export const schedulingOf = (max_running_per_project: number) => ({
  max_running_per_project,
  projects: {},
  timeout_s: 600,
  max_attempts: 4,
  backoff_base_ms: 20,
  backoff_max_ms: 100,
});

/** When a process told on standard error that it took in a version of a key, milliseconds since the epoch; undefined: it did not, yet. */
export const toldAt = (errors: string, key: string, version: number): number | undefined => {
  for (const line of errors.split('\n')) {
    if (!line.includes('a setting was changed')) continue;
    const said = JSON.parse(line) as { readonly key: string; readonly version: number; readonly time: number | string };
    if (said.key === key && said.version === version) return new Date(said.time).getTime();
  }
  return undefined;
};

export const median = (figures: readonly number[]): number => [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)]!;
