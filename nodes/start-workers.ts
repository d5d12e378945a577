// The role that works: model calls and checks, each lane with its slots.
import { setMaxListeners } from 'node:events';
import { generateEffect } from '../processors/generation/index.js';
import { newInterrupts, runEffects } from '../processors/host/index.js';
import { qaEffect, revalidateEffect } from '../processors/qa/effect.js';
import { openSandbox, type Sandbox } from '../processors/qa/index.js';
import { redoEffect } from '../processors/redo/index.js';
import { replayEffect } from '../processors/replay/index.js';
import { analyseEffect, decomposeEffect } from '../processors/routing/index.js';
import { type Lane, workTopic } from '../schemas/index.js';
import { followInterrupts } from './interrupt-tail.js';
import { livePublisher } from './live-publisher.js';
import { GROUPS, routingOf, type Starting, settingsFor } from './starting.js';

/** How long running work may go on when the node stops, in milliseconds. */
const DRAIN_MS = 5_000;

export const startWorkers = async (starting: Starting): Promise<Sandbox> => {
  const { options, log, settings, live, models, artifacts, telemetry, metrics, spending, slots, problem, serve, atEnd } = starting;
  const { config, env, now, roles } = options;
  const { configVersion, promptVersions, known, prompts } = settingsFor(settings);
  const node = config.node.id;
  const sandbox = await openSandbox({ rung: config.sandbox.rung, hidden: [config.node.data_dir], env });
  const interrupts = newInterrupts();
  const stopping = new AbortController();
  // Every partition that is followed listens to it.
  setMaxListeners(0, stopping.signal);
  const following = followInterrupts(log, interrupts, stopping.signal, problem('interrupts'));
  atEnd(() => {
    stopping.abort();
    return following;
  });
  const { timeout_s, memory_bytes, processes, output_bytes, disk_bytes } = config.sandbox;
  const limits = { timeout_ms: timeout_s * 1000, memory_bytes, processes, output_bytes, disk_bytes };
  const generate = generateEffect();
  const replay = replayEffect({
    log,
    config: () => {
      const effective = settings.current();
      const { scheduling, prices } = effective;
      return { routing: routingOf(config)(effective), scheduling, models: config.models, prices, prompts: promptVersions() };
    },
    generate,
    check: qaEffect,
  });
  const shared = {
    group: GROUPS.workers,
    effects: [generate, qaEffect, analyseEffect(), decomposeEffect(), revalidateEffect, redoEffect, replay],
    ports: { models, artifacts, spending, checks: { sandbox, limits }, prompts },
    log,
    interrupts,
    node,
    worker: `${node}:${process.pid}`,
    configVersion,
    known,
    now,
    takeCalls: telemetry.take,
    speak: livePublisher(live),
    drainMs: DRAIN_MS,
  };
  await serve(GROUPS.workers, roles.workers.map(workTopic), (assignment) => {
    const lane = assignment.topic.slice('dats.work.'.length) as Lane;
    return runEffects(assignment, { ...shared, slots: slots.get(lane)!, onEvent: metrics.work(GROUPS.workers, assignment.topic) });
  });
  return sandbox;
};
