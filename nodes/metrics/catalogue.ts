// Every metric of our own: name, type, labels, meaning. README.md shows it as a table; a test compares the two.
//
// C1. Base units, `_total` on counters. C2. No label holds the id of a task, a trace, a user or a project.
// C3. GenAI metrics have OpenTelemetry's names and bucket bounds: open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md (Development).

export interface Definition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[];
}

/** From an instant check to an hour in queues, seconds. */
const STAGE_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600] as const;
const REQUEST_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const OVERHEAD_S = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30] as const;
const GEN_AI_S = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] as const;
const GEN_AI_TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864] as const;

/** The edge node of a line, at both ends. */
const EDGE = ['node'] as const;
const CONSUMER = ['group', 'topic'] as const;
const GEN_AI = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'] as const;

export const CATALOGUE = {
  buildInfo: {
    name: 'dats_build_info',
    type: 'gauge',
    labels: ['version', 'node', 'roles', 'nodejs'],
    help: 'Always 1: which build runs here, under which name, with which roles.',
  },
  dependencyUp: {
    name: 'dats_dependency_up',
    type: 'gauge',
    labels: ['name'],
    help: '1: what this process needs answered well within the time of a scrape; 0: it did not.',
  },
  scrapeUnanswered: {
    name: 'dats_scrape_unanswered_total',
    type: 'counter',
    labels: ['part'],
    help: 'Questions of scrapes that were not answered in time; their metrics are missing from those scrapes.',
  },
  problems: {
    name: 'dats_problems_total',
    type: 'counter',
    labels: ['where', 'code'],
    help: 'Problems that were logged and survived, by part of the process and code.',
  },
  loopDelay: {
    name: 'dats_event_loop_delay_seconds',
    type: 'gauge',
    labels: ['quantile'],
    help: 'How late timers were since the last scrape, sampled ten times a second.',
  },
  requests: {
    name: 'dats_http_request_duration_seconds',
    type: 'histogram',
    labels: ['method', 'route', 'status'],
    buckets: REQUEST_S,
    help: 'From a request to the begin of its answer. Of a stream that is its opening.',
  },
  taskEvents: {
    name: 'dats_task_events_total',
    type: 'counter',
    labels: ['type'],
    help: 'Task events, counted where they are decided on: each once, in the process that owns its partition.',
  },
  stages: {
    name: 'dats_task_stage_duration_seconds',
    type: 'histogram',
    labels: ['stage', 'outcome'],
    buckets: STAGE_S,
    help: 'How long a task was in a stage, waiting included, and how it left it; stage total: from creation to its end.',
  },
  taskFailures: {
    name: 'dats_task_failures_total',
    type: 'counter',
    labels: ['code'],
    help: 'Tasks that failed for good, by error code.',
  },
  verdicts: {
    name: 'dats_qa_verdicts_total',
    type: 'counter',
    labels: ['profile', 'verdict'],
    help: 'Verdicts of QA.',
  },
  incomplete: {
    name: 'dats_consumer_incomplete_offsets',
    type: 'gauge',
    labels: CONSUMER,
    help: 'Records received by this process and not committed.',
  },
  oldestIncomplete: {
    name: 'dats_consumer_oldest_incomplete_age_seconds',
    type: 'gauge',
    labels: CONSUMER,
    help: 'How long the oldest record that is not committed has been held; 0: there is none.',
  },
  fillRatio: {
    name: 'dats_consumer_offset_metadata_fill_ratio',
    type: 'gauge',
    labels: CONSUMER,
    help: 'Size of the fullest completion map that was committed, of what is allowed.',
  },
  pausedPartitions: {
    name: 'dats_consumer_paused_partitions',
    type: 'gauge',
    labels: CONSUMER,
    help: 'Partitions that take no records now: as many are held as may be, or commits fail.',
  },
  ownedPartitions: {
    name: 'dats_consumer_owned_partitions',
    type: 'gauge',
    labels: CONSUMER,
    help: 'Partitions that this process works on.',
  },
  runningRecords: {
    name: 'dats_consumer_running_records',
    type: 'gauge',
    labels: CONSUMER,
    help: 'Work that runs now in this process.',
  },
  committedRecords: {
    name: 'dats_consumer_committed_records_total',
    type: 'counter',
    labels: CONSUMER,
    help: 'Records that were done and committed.',
  },
  retries: {
    name: 'dats_consumer_retries_total',
    type: 'counter',
    labels: CONSUMER,
    help: 'Runs that failed and are tried again.',
  },
  commitFailures: {
    name: 'dats_consumer_commit_failures_total',
    type: 'counter',
    labels: CONSUMER,
    help: 'Commits that failed and are tried again.',
  },
  fenced: {
    name: 'dats_consumer_fenced_total',
    type: 'counter',
    labels: CONSUMER,
    help: 'Partitions that were lost to another owner while this process worked on them.',
  },
  deadLetters: {
    name: 'dats_dlq_records_total',
    type: 'counter',
    labels: ['topic', 'reason'],
    help: 'Records that became dead letters, by the topic they stand in and the code of the failure.',
  },
  lag: {
    name: 'dats_consumer_lag_records',
    type: 'gauge',
    labels: CONSUMER,
    help: 'Records of the log that the group has not done, over all processes (an upper bound). Every process tells it: take the maximum.',
  },
  ingestLag: {
    name: 'dats_analytics_ingest_lag_records',
    type: 'gauge',
    labels: [],
    help: 'Records of the log that history (ClickHouse) does not have yet. Every process tells it: take the maximum.',
  },
  edgeConnected: {
    name: 'dats_edge_connected',
    type: 'gauge',
    labels: EDGE,
    help: 'At an edge node: 1: its line to the core is up. At the core, of each edge node: 1: heard of within three beats.',
  },
  edgeOpen: {
    name: 'dats_edge_open',
    type: 'gauge',
    labels: EDGE,
    help: '1: the edge node takes new work; 0: it was cordoned or drained.',
  },
  edgeBacklog: {
    name: 'dats_edge_backlog_records',
    type: 'gauge',
    labels: EDGE,
    help: "Records of the edge node's log that the core does not have yet: at the core as the node last said it; missing while nobody knows.",
  },
  edgeSeenAge: {
    name: 'dats_edge_seen_age_seconds',
    type: 'gauge',
    labels: EDGE,
    help: 'At the core: how long ago the edge node was last heard of; missing where it never came.',
  },
  edgeSentBytes: {
    name: 'dats_edge_sent_bytes_total',
    type: 'counter',
    labels: EDGE,
    help: 'Bytes of batches that the edge node sent, packed as they go over the line, since its process began.',
  },
  edgeSentBatches: {
    name: 'dats_edge_sent_batches_total',
    type: 'counter',
    labels: EDGE,
    help: 'Batches that the edge node sent and the core took, since its process began.',
  },
  overhead: {
    name: 'dats_gateway_overhead_seconds',
    type: 'histogram',
    labels: [],
    buckets: OVERHEAD_S,
    help: 'What the model gateway added to the call that answered: choosing, waiting for a free slot, calls that failed before.',
  },
  decisions: {
    name: 'dats_router_decisions_total',
    type: 'counter',
    labels: ['model', 'tier', 'reason'],
    help: 'Which model answered for which tier, and why it; model none: nobody did, and the reason is the fault.',
  },
  spend: {
    name: 'dats_spend_usd_total',
    type: 'counter',
    labels: ['provider', 'model'],
    help: 'USD that model calls cost, where servers.yaml has prices.',
  },
  modelUp: {
    name: 'dats_model_up',
    type: 'gauge',
    labels: ['model'],
    help: '1: the model would be asked now; 0: it does not answer, or is left alone for a while.',
  },
  modelRunning: {
    name: 'dats_model_running_calls',
    type: 'gauge',
    labels: ['model'],
    help: 'Calls that run now in this process.',
  },
  modelQueued: {
    name: 'dats_model_queued_calls',
    type: 'gauge',
    labels: ['model'],
    help: 'Calls that wait for a free slot in this process.',
  },
  modelErrors: {
    name: 'dats_model_error_ratio',
    type: 'gauge',
    labels: ['model'],
    help: 'Part of its last calls in this process that failed, newer ones weigh more; missing where there were too few.',
  },
  modelLoaded: {
    name: 'dats_model_loaded',
    type: 'gauge',
    labels: ['model'],
    help: '1: its server has it in memory; 0: it must be loaded first; missing where nobody says.',
  },
  modelBreaker: {
    name: 'dats_model_breaker_open',
    type: 'gauge',
    labels: ['model'],
    help: '1: it failed in a row and is left alone, or one call finds out; 0: it may be asked.',
  },
  tokens: {
    name: 'gen_ai_client_token_usage',
    type: 'histogram',
    labels: [...GEN_AI, 'gen_ai_token_type'],
    buckets: GEN_AI_TOKENS,
    help: 'Tokens of a call, input and output.',
  },
  calls: {
    name: 'gen_ai_client_operation_duration_seconds',
    type: 'histogram',
    labels: [...GEN_AI, 'error_type'],
    buckets: GEN_AI_S,
    help: 'How long a call took; error_type is empty where it was answered.',
  },
  firstChunks: {
    name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
    type: 'histogram',
    labels: GEN_AI,
    buckets: GEN_AI_S,
    help: 'From a call to the first piece of its answer.',
  },
} as const satisfies Record<string, Definition>;
