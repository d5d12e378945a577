// The ready-made questions of deploy/clickhouse/stats, as text for the gateway: read once, when a node starts.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type StatsQuestion, statsQuestionOf } from '../gateway/index.js';
import { packageRoot } from './version.js';

export const statsFolder = (): string => join(packageRoot(), 'deploy', 'clickhouse', 'stats');

/** In the order of their names. @throws Fault terminal `bad_stats` for a file that does not say which question it answers; the error of a folder that is not there */
export const readStats = async (dir: string = statsFolder()): Promise<readonly StatsQuestion[]> => {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map(async (name) => statsQuestionOf(name.slice(0, -'.sql'.length), await readFile(join(dir, name), 'utf8'))));
};
