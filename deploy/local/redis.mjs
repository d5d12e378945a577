// One Redis that keeps nothing on disk: views are rebuilt from the log.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { redisAnswers } from './probe.mjs';
import { programFor } from './programs.mjs';
import { HOST } from './settings.mjs';

/**
 * A Redis in `dir`, for supervise.mjs.
 * @param {{ dir: string, port: number, env?: object }} options
 */
export const redisServer = ({ dir, port, env = process.env }) => {
  const data = join(dir, 'data');
  const log = join(dir, 'redis.log');
  let program;
  return {
    name: 'redis',
    address: `redis://${HOST}:${port}`,
    ports: [port],
    portVariable: 'DATS_SERVERS_REDIS_PORT',
    dir,
    logs: [log, join(dir, 'out.log')],
    startLimitMs: 15_000,
    stopLimitMs: 5_000,
    prepare: async () => {
      program = programFor('redis-server', 'to run Redis', env);
      mkdirSync(data, { recursive: true });
    },
    command: () => ({
      file: program,
      args: [
        '--port',
        String(port),
        '--bind',
        HOST,
        '--dir',
        data,
        '--save',
        '',
        '--appendonly',
        'no',
        '--daemonize',
        'no',
        '--logfile',
        log,
      ],
      env,
    }),
    answers: () => redisAnswers(port),
  };
};
