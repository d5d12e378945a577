// `dats demo`: a whole node in this process, in a folder of its own, doing real work through its HTTP door, and shown while it does. Or, with
// `--running`, the same work given to a server that runs already, of however many processes and machines it consists.
//
// M1. It needs no server, key or model, and leaves one folder behind, which can be asked what happened. M2. It exits 0 only if every task ended as intended.
// M3. It says what answered: recorded answers are never passed off as a model's work.

import { spawnSync } from 'node:child_process';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { type Configuration, configurationOf, loadConfiguration, packageRoot, type RunningNode } from '../../nodes/index.js';
import { HISTORY_TOPICS } from '../../processors/index.js';
import { type ArtifactView, Fault, isTerminal, type modelConfigSchema, newId, TIERS } from '../../schemas/index.js';
import { createClient, type DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import { type EventScreen, openEventScreen } from '../followed.js';
import { duration, harmless } from '../render/index.js';
import type { Session } from '../session.js';
import { freshDemoFolder } from './demo-folder.js';
import { answeredLine, artifactLines, deviations, type Outcome, openTrails, outcomeTable } from './report.js';
import { bodyOfDemoTask, chooseTasks, type DemoTask, demoFolder, loadDemoTasks, type Need } from './tasks.js';

export interface DemoOptions {
  /** Recorded answers only, though a model of servers.yaml may answer. */
  readonly recorded: boolean;
  /** On the server that runs, not on a node of its own. */
  readonly running: boolean;
}

/** On a server that runs, every demo has a project of its own: it must not show what another one did. */
const projectFor = (running: boolean): string => (running ? `demo-${newId().slice(-12)}` : 'demo');
/** After that it is given up, milliseconds: with recorded answers, and with models that think. */
const LIMIT_MS = 30_000;
const REAL_LIMIT_MS = 900_000;

/** So that there are costs to look at: nobody asks this much for an answer out of a file. USD a million tokens. */
const EXAMPLE_PRICES = {
  version: 'demo-example',
  models: [{ model: 'recorded', provider: 'scripted', input_per_mtok: 0.1, output_per_mtok: 0.4 }],
} as const;
const [{ input_per_mtok, output_per_mtok }] = EXAMPLE_PRICES.models;
const COSTS_LINE = `costs     of recorded answers are computed with example prices (${EXAMPLE_PRICES.version}): ${input_per_mtok} USD a million tokens read, ${output_per_mtok} written`;

/** The node of the demo: the models of servers.yaml that are none of ours, and the recorded answers behind them. */
export const demoConfiguration = (
  { env, cwd }: Pick<Session['io'], 'env' | 'cwd'>,
  root: string,
  dataDir: string,
  recordedOnly: boolean,
): Configuration => {
  const recorded: z.input<typeof modelConfigSchema> = {
    id: 'recorded',
    runner: 'scripted',
    tiers: [...TIERS],
    fallback: true,
    preference: 1000,
    concurrency: 64,
    script: join(demoFolder(root), 'script.yaml'),
  };
  const models = recordedOnly
    ? []
    : loadConfiguration({ env, cwd }).config.models.filter((model) => model.runner !== 'scripted' && model.id !== recorded.id);
  return configurationOf(
    {
      version: 1,
      node: { id: 'demo', data_dir: dataDir },
      gateway: { port: 0 },
      models: [...models, recorded],
      // Who watches a demo asks at once.
      analytics: { flush_ms: 250 },
      prices: { version: EXAMPLE_PRICES.version, models: [...EXAMPLE_PRICES.models] },
      scheduling: { backoff_base_ms: 200 },
    },
    root,
  );
};

/** Is there a python3 that runs? */
const pythonThere = (): string | undefined => {
  const found = spawnSync('python3', ['--version'], { encoding: 'utf8', timeout: 5_000 });
  return found.status === 0 ? found.stdout.trim() || 'python3' : undefined;
};

const introduce = async (
  session: Session,
  client: DatsClient,
  running: boolean,
  signal: AbortSignal,
): Promise<{ readonly there: Readonly<Record<Need, boolean>>; readonly recorded: boolean }> => {
  const [models, health] = await Promise.all([client.models({ signal }), client.health({ signal })]);
  const answering = models.filter((model) => model.health.ok && !model.scripted);
  const sandbox = health.dependencies.find(({ name }) => name === 'sandbox');
  const python = pythonThere();
  session.say(
    running ? `on the server at ${client.baseUrl}` : `a whole node runs in this process at ${client.baseUrl}`,
    answering.length > 0
      ? `answers   by ${answering.map((model) => `${model.id} (${model.runner})`).join(', ')}; recorded ones where none answers (dats demo --recorded: only those)`
      : `answers   recorded ones from ${running ? 'its script' : 'cli/demo/script.yaml'}: no model of servers.yaml answers, so none is asked`,
    `sandbox   ${sandboxLine(sandbox, running)}`,
    `python    ${python ?? 'not there'}`,
    ...(running ? [] : [COSTS_LINE]),
  );
  const sandboxed = sandbox?.ok === true || (running && sandbox === undefined);
  return { there: { sandbox: sandboxed, python: python !== undefined }, recorded: answering.length === 0 };
};

/** A gateway alone has no sandbox to speak of: the workers have. */
const sandboxLine = (sandbox: { readonly ok: boolean; readonly detail?: string | undefined } | undefined, running: boolean): string => {
  if (sandbox?.ok === true) return sandbox.detail ?? 'there';
  if (running && sandbox === undefined) return 'at its workers';
  return `not there: ${sandbox?.detail ?? 'no sandbox works on this machine'}`;
};

interface Followed {
  readonly ids: ReadonlyMap<string, DemoTask>;
  readonly children: ReadonlyMap<string, string>;
}

/** Shows the project's events until every task and subtask has ended; cancels what is to be cancelled once it runs. */
const followAll = async (
  client: DatsClient,
  project: string,
  ids: ReadonlyMap<string, DemoTask>,
  screen: EventScreen,
  trails: ReturnType<typeof openTrails>,
  signal: AbortSignal,
): Promise<Followed> => {
  const open = new Set(ids.keys());
  const children = new Map<string, string>();
  for await (const followed of client.projectEvents(project, { from: 'beginning', signal })) {
    const { event } = followed;
    if (event.type === 'dats.task.decomposed')
      for (const child of event.data.children) {
        const name = `${ids.get(event.subject)?.name ?? event.subject}/${child.title}`;
        children.set(child.task_id, name);
        screen.name(child.task_id, name);
        open.add(child.task_id);
      }
    trails.take(event);
    screen.show(followed);
    const reason = ids.get(event.subject)?.cancel;
    if (event.type === 'dats.task.started' && reason !== undefined) await client.cancel(event.subject, { reason, by: 'demo' }, { signal });
    if (isTerminal(event.type)) open.delete(event.subject);
    if (open.size === 0) break;
  }
  return { ids, children };
};

const collect = async (
  client: DatsClient,
  { ids, children }: Followed,
  trails: ReturnType<typeof openTrails>,
  signal: AbortSignal,
): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = [];
  for (const [id, task] of ids) {
    const view = await client.wait(id, { signal });
    outcomes.push({ name: task.name, task, view, trail: trails.of(id) });
    for (const child of view.children)
      outcomes.push({
        name: children.get(child) ?? child,
        task: undefined,
        view: await client.wait(child, { signal }),
        trail: trails.of(child),
      });
  }
  return outcomes;
};

const showArtifacts = async (session: Session, client: DatsClient, outcomes: readonly Outcome[], signal: AbortSignal): Promise<void> => {
  const rows: { task: string; artifact: ArtifactView; sample: boolean }[] = [];
  for (const { name, task, view } of outcomes)
    for (const { artifact_id, path } of view.children.length > 0 ? [] : view.artifacts)
      rows.push({ task: name, artifact: await client.artifact(artifact_id, { signal }), sample: task?.sample === path });
  session.say('', 'what was made, and where it came from', ...artifactLines(rows));
  const sample = rows.find((row) => row.sample);
  if (sample !== undefined) {
    const text = harmless(Buffer.from(await client.artifactContent(sample.artifact, { signal })).toString('utf8'));
    session.say(
      '',
      `${sample.artifact.path}`,
      ...text
        .trimEnd()
        .split('\n')
        .map((line) => `  | ${line}`),
    );
  }
};

const show = async (session: Session, client: DatsClient, root: string, running: boolean, interrupted: AbortSignal): Promise<number> => {
  const { there, recorded } = await introduce(session, client, running, interrupted);
  const limitMs = recorded ? LIMIT_MS : REAL_LIMIT_MS;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLate(limitMs)), limitMs);
  try {
    return await play(session, client, root, { there, recorded, running }, AbortSignal.any([interrupted, late.signal]));
  } finally {
    clearTimeout(timer);
  }
};

const tooLate = (limitMs: number): Fault =>
  new Fault('terminal', 'demo_late', `the demo did not end within ${duration(limitMs)}; the last lines above show where it stands`);

const play = async (
  session: Session,
  client: DatsClient,
  root: string,
  { there, recorded, running }: Awaited<ReturnType<typeof introduce>> & { readonly running: boolean },
  signal: AbortSignal,
): Promise<number> => {
  const project = projectFor(running);
  const { tasks, remarks } = chooseTasks(loadDemoTasks(root), there);
  session.say(...remarks, '');
  const screen = openEventScreen(session, session.io.now(), 22);
  const trails = openTrails();
  const started = performance.now();
  const ids = new Map<string, DemoTask>();
  for (const task of tasks) {
    const { task_id } = await client.submit(bodyOfDemoTask(task, project), { signal });
    ids.set(task_id, task);
    screen.name(task_id, task.name);
  }
  let followed: Followed;
  try {
    followed = await followAll(client, project, ids, screen, trails, signal);
  } finally {
    screen.close();
  }
  const outcomes = await collect(client, followed, trails, signal);
  const wrong = deviations(outcomes, recorded);
  session.say('', ...outcomeTable(outcomes, session.colours), '', answeredLine(trails.answered()));
  await showArtifacts(session, client, outcomes, signal);
  session.data({
    demo: wrong.length === 0 ? 'as intended' : 'not as intended',
    deviations: wrong,
    answered: trails.answered(),
    tasks: outcomes.map(({ name, view, trail }) => ({ name, tiers: trail.tiers, ...view })),
  });
  session.say(
    '',
    ...(wrong.length === 0
      ? [`all ${outcomes.length} tasks ended as intended in ${duration(performance.now() - started)}`]
      : ['NOT as intended:', ...wrong.map((line) => `  ${line}`)]),
  );
  return wrong.length === 0 ? EXIT.ok : EXIT.failed;
};

/** How long the parts of a server that runs may take to come up, and between two looks, in milliseconds. */
const SERVED_MS = 60_000;
const LOOK_MS = 300;
/** What the demo needs of a server: the rest it can do without. */
const NEEDED = ['log', 'views', 'deciders', 'materialisation', 'workers'];

/** Waits until somebody does every part of the work. @throws Fault `not_served`, with what is missing. */
const untilServed = async (session: Session, client: DatsClient): Promise<void> => {
  const { signal } = session.io;
  let told = false;
  for (const deadline = performance.now() + SERVED_MS; ; await sleep(LOOK_MS, undefined, { signal })) {
    const missing = await client.health({ signal }).then(
      ({ dependencies }) =>
        dependencies.filter(({ name, ok }) => NEEDED.includes(name) && !ok).map(({ name, detail }) => `${name}: ${detail}`),
      (error: unknown) => [error instanceof Error ? error.message : String(error)],
    );
    if (missing.length === 0) return;
    if (performance.now() > deadline)
      throw new Fault('terminal', 'not_served', `the server at ${client.baseUrl} is not ready for work: ${missing.join('; ')}`);
    if (!told) session.note(`waiting for ${missing.join('; ')}`);
    told = true;
  }
};

export const runDemo = async (session: Session, options: DemoOptions): Promise<number> => {
  const root = packageRoot();
  if (options.running) {
    const client = await session.client();
    await untilServed(session, client);
    return show(session, client, root, true, session.io.signal);
  }
  const { config } = loadConfiguration({ env: session.io.env, cwd: session.io.cwd });
  const dataDir = freshDemoFolder(config.node.data_dir);
  const startNode = await session.deps.loadStartNode();
  const node = await startNode({ configuration: demoConfiguration(session.io, root, dataDir, options.recorded), env: session.io.env });
  try {
    if (node.url === undefined) throw new Fault('fatal', 'no_gateway', 'the node of the demo started without its gateway');
    const code = await show(session, createClient({ baseUrl: node.url }), root, false, session.io.signal);
    await sayWhatToAsk(session, node, dataDir);
    return code;
  } finally {
    await node.stop();
  }
};

/** How long the history may take to have it all, in milliseconds. */
const RECORDED_MS = 20_000;

const sayWhatToAsk = async (session: Session, node: RunningNode, dataDir: string): Promise<void> => {
  const analytics = (await node.health()).find(({ name }) => name === 'analytics');
  const { signal } = session.io;
  const behind = async () => (await node.log.lag('history', HISTORY_TOPICS)).reduce((sum, { lag }) => sum + lag, 0);
  if (analytics?.ok === true)
    for (const deadline = performance.now() + RECORDED_MS; (await behind()) > 0 && performance.now() < deadline; )
      await sleep(LOOK_MS, undefined, { signal });
  const place = relative(session.io.cwd, dataDir) || dataDir;
  session.say(
    '',
    `all of it is on record in ${place}, until the next demo`,
    ...(analytics?.ok === true
      ? [
          'ask it:   npx dats stats costs',
          '          npx dats sql "SELECT task_id, attempt, status, tier FROM dats.provenance ORDER BY time"',
        ]
      : [`it cannot be asked in SQL: ${analytics?.detail ?? 'analytics.kind is none'}`]),
    'undo it:  npx dats impact tokenizer.ts',
    '          npx dats taint tokenizer.ts --reason "suppose it is wrong" --yes',
    '          npx dats rollback --cascade last --yes',
  );
};
