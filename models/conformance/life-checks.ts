// Does it let go, does it do several things at a time, embed, load and unload.
import { wait } from '../clock.js';
import { type Check, type CheckContext, type Finding, findingOf, heardOf, shownMs, user } from './check.js';

const LONG = 'Write a long story about a lighthouse, with many details.';
/** Calls at a time, where the model may have that many. */
const MOST_TOGETHER = 4;
/** A server that is told to stop may finish a step first. */
const SOON_MS = 2_000;
const LOOK_AGAIN_MS = 100;
/** Calls that take less may look as if they came one after the other. */
const LEAST_TOLD_MS = 200;

const togetherOf = ({ model }: CheckContext): number => Math.min(MOST_TOGETHER, model.concurrency);

/** Asks for a long answer and leaves at its first piece. @returns milliseconds until the runner had ended it, or undefined where it ended before */
const leave = async ({ runner, model, signal, clock }: CheckContext, seed: number): Promise<number | undefined> => {
  const abort = new AbortController();
  const left = new Error('left');
  let at = 0;
  try {
    const request = { messages: user(LONG), max_tokens: model.paid ? 64 : 1_024, temperature: 1, seed };
    for await (const chunk of runner.generate(request, AbortSignal.any([signal, abort.signal]))) {
      if (chunk.kind === 'done') return undefined;
      at ||= clock.now();
      abort.abort(left);
    }
    return undefined;
  } catch (error) {
    if (error !== left) throw error;
    return clock.now() - at;
  }
};

/** Waits until the server has nothing to do, SOON_MS at most. Undefined where it does not say. */
const idle = async ({ runner, signal, clock }: CheckContext): Promise<boolean | undefined> => {
  for (const started = clock.now(); ; await wait(LOOK_AGAIN_MS, signal, clock)) {
    const busy = await runner.busy?.(signal);
    if (busy === undefined) return undefined;
    if (busy === 0) return true;
    if (clock.now() - started > SOON_MS) return false;
  }
};

const cancelled = async (context: CheckContext): Promise<Finding> => {
  const short = { messages: user('Say yes.'), max_tokens: 4 };
  const usual = (await heardOf(context, short, () => true)).took_ms;
  const ends = await Promise.all(Array.from({ length: togetherOf(context) }, (_, i) => leave(context, i + 1)));
  const freed = await idle(context);
  const next = (await heardOf(context, short, () => true)).took_ms;
  const ended = ends.filter((ms): ms is number => ms !== undefined);
  const evidence = [
    `${ended.length} of ${ends.length} left in the middle, ended within ${shownMs(Math.max(0, ...ended))}`,
    `the next call took ${shownMs(next)} (before: ${shownMs(usual)})`,
    ...(freed === undefined ? [] : [`the server is ${freed ? 'idle' : 'still at work'}`]),
  ].join('; ');
  if (ended.length === 0) return { outcome: 'partly', evidence: `every answer had ended before it was left; ${evidence}` };
  if (Math.max(...ended) > SOON_MS) return { outcome: 'failed', evidence };
  return { outcome: freed === false || next > 3 * usual + SOON_MS ? 'partly' : 'ok', evidence };
};

const cancellation: Check = {
  name: 'cancellation',
  tries: 'long answers that are left in the middle, then a short one',
  calls: 6,
  tokens: 4_500,
  needed: true,
  run: (context) => cancelled(context).catch((error: unknown) => findingOf(error)),
  about: {
    partly:
      'closes the connection, but the server works on: cancelled tasks go on costing, and others wait for them; lower max_output_tokens',
    missing: '-',
    failed: 'gives such a call up after idle_timeout_ms: cancelled tasks hold their slots so long',
  },
};

const sideBySide = async (context: CheckContext): Promise<Finding> => {
  const count = togetherOf(context);
  if (count === 1) return { outcome: 'ok', evidence: 'concurrency is 1 in servers.yaml' };
  const ask = async () => {
    const started = context.clock.now();
    const answer = await heardOf(context, { messages: user(LONG), max_tokens: 48, temperature: 1 }, () => true);
    return { begin: started + answer.first_ms, end: started + answer.took_ms, took: answer.took_ms };
  };
  const alone = await ask();
  const started = context.clock.now();
  const answers = await Promise.all(Array.from({ length: count }, ask));
  const all = context.clock.now() - started;
  const overlap = answers.some((a) => answers.some((b) => a !== b && a.begin < b.end && b.begin < a.end));
  const evidence = `${count} at a time took ${shownMs(all)}, one alone ${shownMs(alone.took)}`;
  const inTurn = !overlap && alone.took >= LEAST_TOLD_MS && all >= 0.8 * count * alone.took;
  return { outcome: inTurn ? 'partly' : 'ok', evidence };
};

const together: Check = {
  name: 'together',
  tries: 'several calls at a time, as many as concurrency allows, 4 at most',
  calls: 15,
  tokens: 1_500,
  run: (context) => sideBySide(context).catch((error: unknown) => findingOf(error)),
  about: {
    partly: 'its calls wait in the server instead of going elsewhere: set concurrency to what it can do',
    missing: '-',
    failed: 'waits and tries again when it is told to: set concurrency to what it can do',
  },
};

const near = (a: readonly number[] | undefined, b: readonly number[] | undefined): boolean =>
  a !== undefined && b !== undefined && a.length === b.length && a.every((x, i) => Math.abs(x - b[i]!) < 1e-3);

const embedded = async ({ runner, signal }: CheckContext): Promise<Finding> => {
  const [short, long] = ['yes', 'a somewhat longer text about lighthouses'];
  const { vectors } = await runner.embed([short, long, short], signal);
  const alone = (await runner.embed([long], signal)).vectors[0];
  const evidence = `${vectors.length} vectors of ${vectors[0]?.length ?? 0} numbers`;
  if (!near(vectors[0], vectors[2]) || near(vectors[0], vectors[1]))
    return { outcome: 'failed', evidence: `${evidence}, and like texts are not alike` };
  return near(vectors[1], alone)
    ? { outcome: 'ok', evidence }
    : { outcome: 'partly', evidence: `${evidence}; a text's depends on what is embedded beside it` };
};

const embeddings: Check = {
  name: 'embeddings',
  tries: 'vectors of three texts, two of them the same',
  calls: 2,
  tokens: 100,
  run: (context) => embedded(context).catch((error: unknown) => findingOf(error, 'missing')),
  about: {
    partly: 'takes them as they are: use a model that is made for embedding, or one slot',
    missing: 'its own work needs none; a client that asks for embeddings gets the refusal of the server',
    failed: 'takes them as they are: do not use this model for embedding',
  },
};

const moved = async ({ runner, model, signal, clock }: CheckContext): Promise<Finding> => {
  const { residency } = runner;
  if (residency === undefined) return { outcome: 'missing', evidence: 'the server keeps its models' };
  const bare = model.model.replace(/:latest$/, '');
  const isIn = async () => (await residency.loaded(signal)).some(({ name }) => name.replace(/:latest$/, '') === bare);
  const load = async (): Promise<string> => {
    const started = clock.now();
    await residency.load(signal);
    return shownMs(clock.now() - started);
  };
  const gone = async (): Promise<boolean> => {
    for (const from = clock.now(); ; await wait(LOOK_AGAIN_MS, signal, clock)) {
      if (!(await isIn())) return true;
      if (clock.now() - from > SOON_MS) return false;
    }
  };
  const before = await isIn();
  const first = before ? 'was in memory' : `loaded in ${await load()}`;
  if (!(await isIn())) return { outcome: 'partly', evidence: `${first}, but not listed under its name` };
  await residency.unload(signal);
  const unloaded = await gone();
  // It is left as it was found.
  const again = before ? `, loaded again in ${await load()}` : '';
  return { outcome: unloaded ? 'ok' : 'partly', evidence: `${first}, ${unloaded ? 'unloaded' : 'still there'}${again}` };
};

const residency: Check = {
  name: 'residency',
  tries: 'loading the model, seeing it in memory, unloading it',
  calls: 8,
  tokens: 0,
  run: (context) => moved(context).catch((error: unknown) => findingOf(error)),
  about: {
    partly: 'cannot be sure what is in memory: give memory_bytes in servers.yaml',
    missing: 'neither warms it up nor makes room for it',
    failed: 'the first call waits until the model is loaded',
  },
};

export const LIFE_CHECKS: readonly Check[] = [cancellation, together, embeddings, residency];
