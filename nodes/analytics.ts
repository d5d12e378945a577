// The analytics store of a node, as servers.yaml says: embedded beside the log, a ClickHouse server, or none.
//
// L1. Opening waits for nothing: the engine starts when somebody asks, tables are made when the history begins. L2. Tables that are gone are made again, by whoever
// notices first; the history sees a new generation then and is brought again.
import { join } from 'node:path';
import { type AnalyticsAdmin, askLimitsOf } from '../gateway/index.js';
import { Fault, type Servers } from '../schemas/index.js';
import { dropAll, type Migration, migrate, openClickhouse, readMigrations } from '../streams/clickhouse/index.js';
import type { Analytics } from '../streams/index.js';
import { secretOf } from './storage.js';
import { packageRoot } from './version.js';

export interface NodeAnalytics {
  readonly store: Analytics;
  readonly admin: AnalyticsAdmin;
  /** Of the tables, which are there then. Asked often: the answer is kept for GENERATION_MS. */
  readonly generation: () => Promise<string>;
}

const GENERATION_MS = 2_000;

/** Where analytics are, once `auto` is settled. */
export const analyticsKind = ({ analytics, log }: Servers): 'embedded' | 'server' | 'none' => {
  if (analytics.kind !== 'auto') return analytics.kind;
  if (analytics.url !== undefined) return 'server';
  return log.kind === 'lmdb' ? 'embedded' : 'none';
};

const openStore = (config: Servers, env: Readonly<Record<string, string | undefined>>): Analytics | undefined => {
  const { url, username, password_env, async_insert } = config.analytics;
  const kind = analyticsKind(config);
  if (kind === 'none') return undefined;
  if (kind === 'embedded')
    return openClickhouse({ embedded: { dir: join(config.node.data_dir, 'clickhouse'), limits: askLimitsOf({ config }) } });
  if (url === undefined)
    throw new Fault(
      'terminal',
      'bad_configuration',
      'analytics.kind is server, and analytics.url does not say where: give it as http://host:8123',
    );
  const password = password_env === undefined ? undefined : secretOf(env, password_env, 'the password for ClickHouse');
  return openClickhouse({
    server: {
      url,
      asyncInsert: async_insert,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    },
  });
};

/** Undefined where there is none. @throws Fault terminal `bad_configuration` */
export const openAnalytics = async (
  config: Servers,
  env: Readonly<Record<string, string | undefined>>,
): Promise<NodeAnalytics | undefined> => {
  const store = openStore(config, env);
  if (store === undefined) return undefined;
  const migrations: readonly Migration[] = await readMigrations(join(packageRoot(), 'deploy', 'clickhouse'));
  let known: { readonly at: number; readonly generation: Promise<string> } | undefined;
  const bring = () => migrate(store, migrations);
  return {
    store,
    generation: () => {
      if (known === undefined || performance.now() - known.at > GENERATION_MS) {
        const generation = bring().then((migrated) => migrated.generation);
        known = { at: performance.now(), generation };
        generation.catch(() => {
          known = undefined;
        });
      }
      return known.generation;
    },
    admin: {
      migrate: bring,
      rebuild: async () => {
        await dropAll(store);
        known = undefined;
        return bring();
      },
    },
  };
};
