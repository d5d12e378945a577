// Ours under the peers' harness: `node dist/bench/harness-run.js <common.mjs>`. The harness forks pipeline-app.js and drives it as it drives every peer.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort, PIPELINE_APP } from './pipeline-process.js';

interface HarnessTask {
  readonly task_id: string;
  readonly project_id: string;
  readonly description: string;
}

interface Harness {
  /** Ends the process when it is done. */
  bench(config: {
    readonly peer: string;
    readonly setting: string;
    readonly n: number;
    readonly app: URL;
    readonly appPort: number;
    readonly statusPort: number;
    readonly appEnv: () => Readonly<Record<string, string>>;
    readonly submit: (task: HarnessTask) => readonly [method: string, path: string, body: string];
    readonly isComplete: (reply: { readonly status: number; readonly body: string }) => boolean;
  }): Promise<void>;
  /** Where the harness lets servers keep their data. */
  readonly DATA: string;
}

const TASKS = 20_000;

const { bench, DATA } = (await import(pathToFileURL(process.argv[2]!).href)) as Harness;
mkdirSync(DATA, { recursive: true });
const dir = mkdtempSync(join(DATA, 'dats-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const statusPort = await freePort();

await bench({
  peer: 'dats',
  setting: 'lmdb-fsync-every-ack',
  n: TASKS,
  app: PIPELINE_APP,
  appPort: await freePort(),
  statusPort,
  appEnv: () => ({ BENCH_DIR: dir, BENCH_STATUS_PORT: String(statusPort) }),
  // The server makes its own ids, so the harness's id is the first word of the description; a `model` or `labels` has no meaning here.
  submit: ({ task_id, project_id, description }) => [
    'POST',
    '/api/v1/tasks',
    JSON.stringify({ description: `${task_id} ${description}`, project_id, options: { qa_profile: 'syntax' } }),
  ],
  isComplete: ({ status, body }) => status === 200 && (JSON.parse(body) as { status: string }).status === 'completed',
});
