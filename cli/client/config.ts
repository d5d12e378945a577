// The part of the client that reads and changes settings.
import type { ConfigDiff, ConfigList, ConfigPutAnswer, ConfigValue, ConfigVersions } from '../../schemas/index.js';
import type { Http } from './http.js';

const BASE = '/api/v1/config';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}
export interface ChangeNote {
  readonly reason?: string | undefined;
  readonly by?: string | undefined;
}

const at = (key: string, ...parts: readonly string[]): string => [BASE, ...[key, ...parts].map(encodeURIComponent)].join('/');
const ifMatch = (version: number): Readonly<Record<string, string>> => ({ 'if-match': `"${version}"` });

export const configOf = (http: Http) => ({
  /** Every key, and the version of the whole. */
  settings: ({ signal }: CallOptions = {}): Promise<ConfigList> => http.json({ path: BASE, signal }),
  /** A key, or an earlier version of it; 0: what servers.yaml says, or what is built in. */
  setting: (key: string, version?: number, { signal }: CallOptions = {}): Promise<ConfigValue> =>
    http.json({ path: at(key), query: { version }, signal }),
  settingVersions: (key: string, { signal }: CallOptions = {}): Promise<ConfigVersions> => http.json({ path: at(key, 'versions'), signal }),
  settingDiff: (key: string, query: { readonly from?: number; readonly to?: number }, { signal }: CallOptions = {}): Promise<ConfigDiff> =>
    http.json({ path: at(key, 'diff'), query, signal }),
  /** `version`: the one that the value was made from. @throws Fault `precondition_failed` where it is not that any more */
  setSetting: (
    key: string,
    value: unknown,
    version: number,
    { reason, by, signal }: ChangeNote & CallOptions = {},
  ): Promise<ConfigPutAnswer> =>
    http.json({ method: 'PUT', path: at(key), query: { reason, by }, json: value, headers: ifMatch(version), signal }),
  /** Brings the value of version `to` back, from version `version`. */
  rollBackSetting: (
    key: string,
    to: number,
    version: number,
    { reason, by, signal }: ChangeNote & CallOptions = {},
  ): Promise<ConfigPutAnswer> =>
    http.json({
      method: 'POST',
      path: at(key, 'rollback'),
      json: { to, ...(reason === undefined ? {} : { reason }), ...(by === undefined ? {} : { by }) },
      headers: ifMatch(version),
      signal,
    }),
});
