// `last` in place of an id: the cascade or rollback that was begun last.
import type { DatsClient } from '../client/index.js';
import { badUsage } from '../exit.js';

const LAST = 'last';

/** @throws Fault `bad_usage` where there is none. */
export const cascadeIdOf = async (client: DatsClient, given: string, signal: AbortSignal): Promise<string> => {
  if (given !== LAST) return given;
  const [newest] = await client.cascades({ limit: 1 }, { signal });
  if (newest === undefined) throw badUsage('there is no cascade yet; dats taint begins one');
  return newest.cascade_id;
};

/** @throws Fault `bad_usage` where there is none. */
export const rollbackIdOf = async (client: DatsClient, given: string, signal: AbortSignal): Promise<string> => {
  if (given !== LAST) return given;
  const [newest] = await client.rollbacks({ limit: 1 }, { signal });
  if (newest === undefined) throw badUsage('there is no rollback yet; dats rollback begins one');
  return newest.rollback_id;
};
