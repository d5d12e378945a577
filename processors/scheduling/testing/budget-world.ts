// Scheduling and the ledger together, each with its partition, without I/O: what one says the other hears. Both can be restarted after any commit.
import { type DatsEvent, type EventType, type QuotasConfig, quotasConfigSchema, serversSchema } from '../../../schemas/index.js';
import type { Decider } from '../../decider.js';
import { fixed } from '../../policies.js';
import { type LedgerWorld, openLedgerWorld } from '../../quota/testing/index.js';
import { analysis, creation, openWorld, output, type World } from '../../testing/pipeline-world.js';
import { schedulingDecider } from '../decider.js';
import type { SchedulingPolicy } from '../policy.js';

export interface BudgetWorld {
  readonly tasks: World;
  readonly ledger: LedgerWorld;
  /** Whether the ledger reads what it is told; an answer comes when it does. */
  ledgerRuns: boolean;
  restarts: boolean;
  advance(ms: number): void;
  /** One commit of each, and what they said is handed over. */
  step(): void;
  /** Until nobody has more to say. */
  settle(): void;
  submit(id: string, details?: Parameters<typeof creation>[1], project?: string): void;
  answer(id: string, use?: { readonly tokens?: number; readonly cost_usd?: number; readonly attempt?: number }, project?: string): void;
  said<T extends EventType>(type: T): Extract<DatsEvent, { type: T }>[];
}

export interface BudgetOptions {
  readonly quotas: Parameters<typeof quotasConfigSchema.parse>[0];
  readonly policy?: Partial<SchedulingPolicy>;
  /** USD a token. */
  readonly price?: number;
  /** Where there are several. */
  readonly node?: string;
}

export const call = (tokens: number, cost_usd?: number) => ({
  model: 'm',
  provider: 'p',
  outcome: 'ok' as const,
  input_tokens: Math.floor(tokens / 2),
  output_tokens: Math.ceil(tokens / 2),
  ...(cost_usd === undefined ? {} : { cost_usd }),
  duration_ms: 1,
});

export const BUDGET_POLICY: SchedulingPolicy = { ...serversSchema.parse({ version: 1 }).scheduling, backoff_base_ms: 100, timeout_s: 10 };

export const openBudgetWorld = ({ quotas, policy = {}, price = 0, node }: BudgetOptions): BudgetWorld => {
  const config: QuotasConfig = quotasConfigSchema.parse(quotas);
  const scheduling = { ...BUDGET_POLICY, ...policy };
  const tasks = openWorld(() => [
    schedulingDecider(fixed(scheduling), undefined, { quotas: () => ledger.quotas, price: () => price }, node) as Decider,
  ]);
  const ledger = openLedgerWorld(config);
  let heard = 0;
  let told = 0;
  const world: BudgetWorld = {
    tasks,
    ledger,
    ledgerRuns: true,
    restarts: false,
    advance(ms) {
      tasks.now += ms;
      ledger.now += ms;
    },
    step() {
      tasks.step();
      if (world.restarts) tasks.restart();
      while (told < tasks.quota.length) ledger.take(tasks.quota[told++]!);
      if (world.ledgerRuns) ledger.step();
      if (world.restarts) ledger.restart();
      while (heard < ledger.answers.length) {
        const { type, data, projectid } = ledger.answers[heard++]!;
        tasks.append(type, data as never, projectid);
      }
    },
    settle() {
      for (let before = -1; before !== tasks.log.length + ledger.log.length; ) {
        before = tasks.log.length + ledger.log.length;
        world.step();
      }
    },
    submit(id, details = {}, project = 'p') {
      tasks.append('dats.task.created', creation(id, { options: { qa_profile: 'none' }, ...details }), project);
      tasks.append('dats.task.analyzed', analysis(id), project);
      world.settle();
    },
    answer(id, { tokens = 100, cost_usd, attempt = 1 } = {}, project = 'p') {
      tasks.append('dats.task.output.created', { ...output({ task_id: id, attempt }), calls: [call(tokens, cost_usd)] }, project);
      world.settle();
    },
    said: (type) =>
      [
        ...tasks.log.map(({ headers, value }) => ({ ...headers, data: JSON.parse(String(value)) }) as unknown as DatsEvent),
        ...ledger.log,
      ].filter((event): event is Extract<DatsEvent, { type: typeof type }> => event.type === type),
  };
  return world;
};
