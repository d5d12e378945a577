// Who writes and reads what on which topic: the one table from which the AsyncAPI document is made.
//
// C1. An event type stands on the topics that some role sends it to, and on no other. C2. `test/channels.test.ts` compares this table with what the
// sources say and with what a running node writes, so a new event that is missing here, or here in the wrong place, fails there.
import { DECIDED, DECIDED_WORK, LIFECYCLE_TYPES, MARKED, MARKING, REQUESTED, SPENT, TRACED, WORKED } from './channel-messages.js';
import { BUDGET_ANSWERS, EVENTS, type EventType, TASK_TYPES } from './registry.js';
import { AUDIT, CONFIG, DLQ, LIFECYCLE, QUOTA, TELEMETRY, type Topic, WORK_TOPICS, workTopic } from './topics.js';

export const ROLES = ['gateway', 'deciders', 'views', 'workers'] as const;
export type Role = (typeof ROLES)[number];

/** What lies on the dead letter topic besides events: records that could not be processed, and what became of them. */
export const LETTERS = ['dats.dead-letter', 'dats.dead-letter.resolution'] as const;
export type Letter = (typeof LETTERS)[number];

/** One thing that a role does with some topics. */
export interface Flow {
  readonly role: Role;
  readonly action: 'send' | 'receive';
  /** Tells flows of the same role, action and topic apart; camelCase, begins the operation's name after the role. */
  readonly verb: string;
  readonly topics: readonly Topic[];
  readonly messages: readonly (EventType | Letter)[];
  /** The consumer group; absent where every process reads everything for itself. */
  readonly group?: string;
  /** Only where the configuration asks for it. */
  readonly optional?: true;
  readonly summary: string;
}

export const FLOWS: readonly Flow[] = [
  { role: 'gateway', action: 'send', verb: 'send', topics: [LIFECYCLE], messages: REQUESTED, summary: 'What users ask for' },
  {
    role: 'gateway',
    action: 'send',
    verb: 'resend',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    summary: 'A dead letter that is retried: the original record once more, in one append with its resolution',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'resend',
    topics: WORK_TOPICS,
    messages: ['dats.work.requested'],
    summary: 'A dead letter that is retried: the original record once more, in one append with its resolution',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'send',
    topics: [workTopic('replay')],
    messages: ['dats.work.requested'],
    summary: 'Replays, in one append with their request',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'send',
    topics: [TELEMETRY],
    messages: ['dats.model.called', 'dats.node.sampled'],
    summary: 'Model calls made for a request, not for a task; and how the process is',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'send',
    topics: [CONFIG],
    messages: ['dats.config.changed'],
    summary: 'What is to be changed while the system runs',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'send',
    topics: [QUOTA],
    messages: [...SPENT, 'dats.quota.reset'],
    summary: 'What models that are asked for a request may use, and used; and accounts that begin anew',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'resend',
    topics: [QUOTA],
    messages: [...SPENT, 'dats.quota.reset'],
    summary: 'A dead letter that is retried: the original record once more, in one append with its resolution',
  },
  {
    role: 'gateway',
    action: 'send',
    verb: 'send',
    topics: [DLQ],
    messages: ['dats.dead-letter.resolution'],
    summary: 'What became of a dead letter',
  },
  {
    role: 'gateway',
    action: 'receive',
    verb: 'follow',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    summary: 'For event streams and for reads of what was just written; every gateway reads everything',
  },
  {
    role: 'gateway',
    action: 'receive',
    verb: 'follow',
    topics: [DLQ],
    messages: LETTERS,
    summary: 'For the list of dead letters; every gateway reads everything',
  },
  {
    role: 'gateway',
    action: 'receive',
    verb: 'receive',
    topics: [AUDIT],
    messages: ['dats.audit.checkpoint'],
    summary: 'For proofs, when they are asked for',
  },
  {
    role: 'gateway',
    action: 'receive',
    verb: 'follow',
    topics: [CONFIG],
    messages: ['dats.config.changed'],
    summary: 'What the configuration in force is folded from; every process reads everything',
  },
  {
    role: 'deciders',
    action: 'receive',
    verb: 'receive',
    topics: [LIFECYCLE],
    messages: [...TASK_TYPES, ...BUDGET_ANSWERS],
    group: 'core',
    summary: 'What is decided from: folded per partition, in order, exactly once',
  },
  {
    role: 'deciders',
    action: 'receive',
    verb: 'trace',
    topics: [LIFECYCLE],
    messages: [...TRACED, ...LIFECYCLE_TYPES.filter((type) => MARKING.test(type))],
    group: 'cascade',
    summary: 'What cascades and rollbacks are decided from: folded per partition, in order, exactly once',
  },
  {
    role: 'gateway',
    action: 'receive',
    verb: 'follow',
    topics: [QUOTA],
    messages: [...SPENT, ...BUDGET_ANSWERS, 'dats.quota.reset'],
    summary: 'The answers it waits for, and how accounts stand',
  },
  {
    role: 'deciders',
    action: 'receive',
    verb: 'account',
    topics: [QUOTA],
    messages: [...SPENT, 'dats.quota.reset'],
    group: 'quota',
    summary: 'What budgets are kept from: folded in order, exactly once',
  },
  {
    role: 'deciders',
    action: 'receive',
    verb: 'audit',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    group: 'audit',
    summary: 'What the checkpoints are made over: every event',
  },
  {
    role: 'deciders',
    action: 'receive',
    verb: 'follow',
    topics: [DLQ],
    messages: ['dats.dead-letter'],
    summary: 'Which records were refused, when the state is rebuilt from the log',
  },
  {
    role: 'deciders',
    action: 'receive',
    verb: 'follow',
    topics: [CONFIG],
    messages: ['dats.config.changed'],
    summary: 'What the configuration in force is folded from; every process reads everything',
  },
  { role: 'deciders', action: 'send', verb: 'send', topics: [LIFECYCLE], messages: DECIDED, summary: 'Decisions' },
  {
    role: 'deciders',
    action: 'send',
    verb: 'mark',
    topics: [LIFECYCLE],
    messages: MARKED,
    summary: 'What is marked as bad, checked again and taken back',
  },
  {
    role: 'deciders',
    action: 'send',
    verb: 'answer',
    topics: [LIFECYCLE],
    messages: BUDGET_ANSWERS,
    summary: 'What the ledger answers to attempts of tasks',
  },
  {
    role: 'deciders',
    action: 'send',
    verb: 'send',
    topics: [QUOTA],
    messages: [...SPENT, ...BUDGET_ANSWERS],
    summary: 'What attempts may use and used; and the answers of the ledger',
  },
  {
    role: 'deciders',
    action: 'send',
    verb: 'send',
    topics: [AUDIT],
    messages: ['dats.audit.checkpoint'],
    summary: 'Signed checkpoints of each project',
  },
  {
    role: 'deciders',
    action: 'send',
    verb: 'send',
    topics: DECIDED_WORK,
    messages: ['dats.work.requested'],
    summary: 'Work for the workers of the lane',
  },
  {
    role: 'deciders',
    action: 'send',
    verb: 'send',
    topics: [TELEMETRY],
    messages: ['dats.ops.alert', 'dats.node.sampled'],
    summary: 'Alerts that go with dead letters; and how the process is',
  },
  { role: 'deciders', action: 'send', verb: 'send', topics: [DLQ], messages: ['dats.dead-letter'], summary: 'What could not be decided' },
  {
    role: 'views',
    action: 'receive',
    verb: 'receive',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    group: 'views',
    summary: 'What the read models are folded from',
  },
  {
    role: 'views',
    action: 'receive',
    verb: 'record',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    group: 'history',
    optional: true,
    summary: 'What is brought into ClickHouse, where there is one',
  },
  {
    role: 'views',
    action: 'receive',
    verb: 'record',
    topics: [TELEMETRY],
    messages: ['dats.model.called', 'dats.ops.alert', 'dats.node.sampled'],
    group: 'history',
    optional: true,
    summary: 'What is brought into ClickHouse, where there is one',
  },
  {
    role: 'workers',
    action: 'receive',
    verb: 'receive',
    topics: WORK_TOPICS,
    messages: ['dats.work.requested'],
    group: 'workers',
    summary: 'Work to do, several items at a time',
  },
  {
    role: 'workers',
    action: 'receive',
    verb: 'follow',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    summary: 'What ends running work, from the tail; and, by offset, what a work item refers to',
  },
  {
    role: 'workers',
    action: 'receive',
    verb: 'follow',
    topics: [CONFIG],
    messages: ['dats.config.changed'],
    summary: 'What the configuration in force is folded from; every process reads everything',
  },
  { role: 'workers', action: 'send', verb: 'send', topics: [LIFECYCLE], messages: WORKED, summary: 'What came of the work' },
  {
    role: 'workers',
    action: 'send',
    verb: 'send',
    topics: [TELEMETRY],
    messages: ['dats.model.called', 'dats.ops.alert', 'dats.node.sampled'],
    summary: 'Model calls, alerts that go with dead letters, and how the process is',
  },
  {
    role: 'workers',
    action: 'send',
    verb: 'send',
    topics: [QUOTA],
    messages: SPENT,
    summary: 'What models may use that are asked before the first attempt, and used',
  },
  {
    role: 'workers',
    action: 'receive',
    verb: 'follow',
    topics: [QUOTA],
    messages: BUDGET_ANSWERS,
    summary: 'The answers it waits for',
  },
  { role: 'workers', action: 'send', verb: 'send', topics: [DLQ], messages: ['dats.dead-letter'], summary: 'Work that failed for good' },
];

const isEventType = (name: EventType | Letter): name is EventType => Object.hasOwn(EVENTS, name);

/** What `role` sends to `topic`, or, without a role, what anybody does. */
export const sentTo = (topic: Topic, role?: Role): ReadonlySet<EventType | Letter> =>
  new Set(
    FLOWS.filter((flow) => flow.action === 'send' && flow.topics.includes(topic) && (role === undefined || flow.role === role)).flatMap(
      ({ messages }) => messages,
    ),
  );

/** The event types that stand on `topic`; none for the dead letter topic, whose records are letters. */
export const eventTypesOn = (topic: Topic): readonly EventType[] => [...sentTo(topic)].filter(isEventType);
