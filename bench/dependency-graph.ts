// The artifacts of one large project and what each was made from, from a seed: tasks that make one to three files of what was there before.
//
// D1. The same seed gives the same project. D2. Nothing is made from what comes later. D3. Most files are ends: nobody reads them; some are read by thousands.
import type { ArtifactFact } from '../processors/cascade/graph/index.js';
import { openRandom, type Random } from './random.js';

/** A task consumes one to so many artifacts, five on average. */
const CONSUMED_AT_MOST = 9;
const MADE_AT_MOST = 3;
/** Shares of what is consumed: made lately; what another took before, so that some become hubs; what everybody reads at the time. The rest is anything. */
const LATELY = 0.75;
const AS_ANOTHER = 0.15;
const BY_EVERYBODY = 0.08;
/** Mean age of what was made lately, in artifacts. */
const AGE = 300;
const HUB_EVERY = 5_000;
const HUBS_READ = 4;
/** One of so many is ever read (D3). */
const LIVE_EVERY = 3;
/** A new version of something that was consumed, where it is not a new file. */
const NEW_VERSION = 0.6;
const TASK_MS = 1_500;
const START_MS = Date.UTC(2026, 0, 1);
const MODELS = ['qwen2.5-coder-7b', 'qwen2.5-coder-32b', 'deepseek-coder-v2', 'devstral-24b', 'gpt-oss-120b'] as const;
const NODES = 16;
const PROMPTS = 12;
const CONFIGS = 40;

/** By the artifact's place: 0 is the oldest. */
export interface DependencyGraph {
  readonly ids: readonly string[];
  readonly edges: number;
  factAt(place: number): ArtifactFact;
  consumedAt(place: number): readonly string[];
}

/** In one piece: a text that was put together keeps its pieces until it is read, and memory that is measured would shrink then. */
const flat = (id: string): string => Buffer.from(id, 'latin1').toString('latin1');

/** Who is consumed next, of the artifacts below `made`. `taken`: who was consumed before. */
const parentOf = (random: Random, made: number, taken: Int32Array, edges: number): number => {
  const share = random.next();
  if (share < AS_ANOTHER && edges > 0) return taken[random.int(edges)]!;
  if (share < AS_ANOTHER + BY_EVERYBODY) return Math.max(0, Math.floor(made / HUB_EVERY) - random.int(HUBS_READ)) * HUB_EVERY;
  const isLate = share < AS_ANOTHER + BY_EVERYBODY + LATELY;
  const age = isLate ? Math.floor(-Math.log(1 - random.next()) * AGE) : random.int(made);
  const place = Math.max(0, made - 1 - age);
  return place - (place % LIVE_EVERY);
};

/** @param artifacts so many are made */
export const dependencyGraph = (seed: number, artifacts: number): DependencyGraph => {
  const random = openRandom(seed);
  const ids = Array.from({ length: artifacts }, () => flat(random.uuid()));
  const [tasks, attempts, paths] = [new Int32Array(artifacts), new Uint8Array(artifacts), new Int32Array(artifacts)];
  const from = new Int32Array(artifacts + 1);
  const taken = new Int32Array(artifacts * CONSUMED_AT_MOST);
  let [made, edges, files, task] = [0, 0, 0, 0];
  while (made < artifacts) {
    const wanted = Math.min(made, 1 + random.int(CONSUMED_AT_MOST));
    const consumed = new Set<number>();
    for (let i = 0; i < wanted; i++) consumed.add(parentOf(random, made, taken, edges));
    const parents = [...consumed];
    const attempt = 1 + Number(random.next() < 0.15);
    for (const last = Math.min(artifacts, made + 1 + random.int(MADE_AT_MOST)); made < last; made++) {
      tasks[made] = task;
      attempts[made] = attempt;
      paths[made] = parents.length > 0 && random.next() < NEW_VERSION ? paths[random.pick(parents)]! : files++;
      for (const parent of parents) taken[edges++] = parent;
      from[made + 1] = edges;
    }
    task++;
  }
  const taskIds = Array.from({ length: task }, () => flat(random.uuid()));
  return {
    ids,
    edges,
    factAt: (place) => {
      const number = tasks[place]!;
      const model = MODELS[number % MODELS.length]!;
      const digits = ids[place]!.replaceAll('-', '');
      return {
        artifact_id: ids[place]!,
        task_id: taskIds[number]!,
        attempt: attempts[place]!,
        path: `src/part-${paths[place]! % 97}/file-${paths[place]}.ts`,
        sha256: digits + digits,
        model,
        model_digest: `sha256:${model}`,
        prompt_version: `generate-${number % PROMPTS}`,
        node: `node-${number % NODES}`,
        config_version: `config-${Math.floor((number * CONFIGS) / task)}`,
        offset: number * 7,
        time_ms: START_MS + number * TASK_MS,
      };
    },
    consumedAt: (place) => Array.from(taken.subarray(from[place], from[place + 1]), (parent) => ids[parent]!),
  };
};
