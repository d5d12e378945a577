// What is different in a lane, as a decider would meet it: tasks that ask for something else, analyses that come to another tier.
//
// N1. The deciders are the real ones. They are told of other events, never told to decide otherwise. N2. A subtask gets what its own analysis and the changes
// give it, never what its parent got by a rule. N3. A rule looks at the recorded analysis.
import type { DataOf, DatsEvent, EventOf, ReplayChanges, ReplayRule } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { fixed } from '../policies.js';
import type { PromptVersions } from '../prompt-versions.js';
import { type SchedulingPolicy, schedulingDecider } from '../scheduling/index.js';
import type { SchedulingState } from '../scheduling/state.js';
import type { TaskRecord } from './record.js';

type Created = EventOf<'dats.task.created'>;
type Analysed = Pick<DataOf<'dats.task.analyzed'>, 'tier' | 'domain' | 'complexity' | 'language'>;

const fits = ({ when }: ReplayRule, { tier, domain, complexity, language }: Analysed): boolean =>
  (when.domain === undefined || when.domain === domain) &&
  (when.tier === undefined || when.tier === tier) &&
  (when.complexity_below === undefined || complexity < when.complexity_below) &&
  (when.complexity_from === undefined || complexity >= when.complexity_from) &&
  (when.language === undefined || when.language === language);

/** The first rule that fits. */
export const ruleFor = (changes: ReplayChanges, analysis: Analysed | undefined): ReplayRule | undefined =>
  analysis === undefined ? undefined : changes.routing?.find((rule) => fits(rule, analysis));

/** What a task asks for under the changes. `recorded`: what is known of it, `parent`: of the task that it is part of. */
export const changedCreation = (
  changes: ReplayChanges,
  event: Created,
  recorded: TaskRecord | undefined,
  parent: TaskRecord | undefined,
): Created => {
  const options = { ...(recorded?.created ?? event).data.options };
  if (recorded === undefined && parent?.created.data.options.model === undefined) delete options.model;
  const model = ruleFor(changes, recorded?.analysis)?.model ?? changes.model;
  if (model !== undefined) options.model = model;
  if (changes.max_attempts !== undefined) options.max_attempts = changes.max_attempts;
  if (changes.timeout_s !== undefined) options.timeout_s = changes.timeout_s;
  // Where there are no tests, `tests` has nothing to run: such a task is judged as it was.
  if (changes.qa_profile !== undefined && (changes.qa_profile !== 'tests' || event.data.tests !== undefined))
    options.qa_profile = changes.qa_profile;
  return { ...event, data: { ...event.data, options } };
};

export const changedAnalysis = (changes: ReplayChanges, event: EventOf<'dats.task.analyzed'>, recorded: TaskRecord | undefined) => {
  const tier = ruleFor(changes, recorded?.analysis ?? event.data)?.tier;
  return tier === undefined || tier === event.data.tier ? event : { ...event, data: { ...event.data, tier } };
};

/** The policy as the lanes' project meets it: with the real one's exceptions, or the changed quota. */
export const policyFor = (policy: SchedulingPolicy, project: string, shadow: string, changes: ReplayChanges): SchedulingPolicy => {
  const own = changes.max_running === undefined ? policy.projects[project] : { max_running: changes.max_running };
  return own === undefined ? policy : { ...policy, projects: { ...policy.projects, [shadow]: own } };
};

/** The real scheduling, told of events as the changes make them. */
export const changedScheduling = (
  policy: SchedulingPolicy,
  changes: ReplayChanges,
  tasks: ReadonlyMap<string, TaskRecord>,
  prompts: PromptVersions,
): Decider<SchedulingState> => {
  const real = schedulingDecider(fixed(policy), () => prompts);
  const told = (event: DatsEvent): DatsEvent => {
    if (event.type === 'dats.task.created')
      return changedCreation(changes, event, tasks.get(event.data.task_id), tasks.get(event.data.parent_id ?? ''));
    if (event.type === 'dats.task.analyzed') return changedAnalysis(changes, event, tasks.get(event.data.task_id));
    return event;
  };
  return { ...real, evolve: (state, event, offset) => real.evolve(state, told(event), offset) };
};
