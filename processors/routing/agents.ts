// The agent functions for callers who submit nothing: the same signals, prompts and plans as the pipeline's.
//
// F1. What a model is asked is on the budgets of who asks; where no model is asked none is looked at. F2. A budget that does not allow a question is the answer:
// the pipeline goes on by signals and lists then, but whoever asks for nothing else must know why.
import type { ModelGateway } from '../../models/index.js';
import { type AnalyzeBody, Fault } from '../../schemas/index.js';
import type { Agents } from '../agents.js';
import { BUILT_IN_PROMPTS, type PromptSource, type PromptVersions, promptNamed } from '../prompt-versions.js';
import { type Budgeted, budgeted, type Spending } from '../quota/index.js';
import { ANALYSE_SYSTEM, analyseWith } from './analyse-effect.js';
import { analysisOf, classify } from './classify.js';
import type { RoutingOptions } from './decider.js';
import { DECOMPOSE_SYSTEM, type PlanQuestion, planWith } from './decompose-effect.js';
import { type Material, signalsOf } from './signals.js';

export interface AgentsDeps {
  readonly models: Pick<ModelGateway, 'ask'>;
  /** Absent: nobody has a budget. */
  readonly spending?: Spending;
  readonly options: () => RoutingOptions;
  /** The versions that hold, and what changed ones say; absent: what is built in. */
  readonly promptVersions?: () => PromptVersions;
  readonly prompts?: PromptSource;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const materialOf = (body: AnalyzeBody): Material => ({
  description: body.description,
  description_bytes: Buffer.byteLength(body.description),
  files: body.files.map(({ path, content }) => ({ path, bytes: Buffer.byteLength(content) })),
  inputs: 0,
  options: body.options,
});

/** F2. */
const unlessRefused = async <T>(door: Budgeted, work: Promise<T>): Promise<T> => {
  const done = await work;
  if (door.refusal !== undefined) throw door.refusal;
  return done;
};

export const createAgents = ({
  models,
  spending,
  options: optionsNow,
  promptVersions = () => BUILT_IN_PROMPTS,
  prompts,
  now,
}: AgentsDeps): Agents => {
  const doorFor = ({ project_id: project, submitted_by: user }: AnalyzeBody, agent: 'analyse' | 'decompose'): Budgeted =>
    budgeted({ models, spending, agent, charged: { project, user } });

  return {
    analyze: async (body, signal) => {
      const options = optionsNow();
      const material = materialOf(body);
      const features = signalsOf(material);
      const made = classify(features);
      const pinned = body.options.tier !== undefined || body.options.model !== undefined;
      if (pinned || !options.modelAvailable || made.confidence >= options.askModelBelow)
        return analysisOf(made, features, now(), undefined, options.throughput);
      const prompt = promptNamed('analyse', promptVersions().analyse, ANALYSE_SYSTEM, prompts);
      const throughput = options.throughput === undefined ? {} : { throughput: options.throughput };
      const door = doorFor(body, 'analyse');
      return unlessRefused(door, analyseWith(door, { material, at: now(), prompt, ...throughput }, signal));
    },

    decompose: async (body, signal) => {
      const { tier, domain } = classify(signalsOf(materialOf(body)));
      const door = doorFor(body, 'decompose');
      const question: PlanQuestion = {
        description: body.description,
        paths: body.files.map(({ path }) => path),
        hasTests: false,
        tier,
        domain,
        prompt: promptNamed('decompose', promptVersions().decompose, DECOMPOSE_SYSTEM, prompts),
        confidential: body.options.confidentiality === 'confidential',
        ...(body.options.model === undefined ? {} : { model: body.options.model }),
      };
      const planned = await unlessRefused(door, planWith(door, question, signal));
      if (!planned.ok)
        throw new Fault('terminal', 'no_plan', `${planned.why}. Write the steps as a list, or ask again when a model is there`);
      return {
        steps: planned.steps.map(({ title, description, depends_on }) => ({ title, description, depends_on })),
        planner: planned.planner,
      };
    },

    estimate: (body) => {
      const features = signalsOf(materialOf(body));
      const { tier, complexity, confidence, estimated_tokens, estimated_duration_ms, estimated_completion } = analysisOf(
        classify(features),
        features,
        now(),
        undefined,
        optionsNow().throughput,
      );
      return { tier, complexity, confidence, estimated_tokens, estimated_duration_ms, estimated_completion };
    },
  };
};
